import { describe, expect, it } from "vitest";

import { fieldRefusal, refusal } from "../test/api-stub";
import { ApiError, asApiError, errorFromResponse } from "./errors";

describe("errors of the API", () => {
  it("carry the server's sentence", async () => {
    const error = await errorFromResponse(refusal(409, "It is still in use"));
    expect(error.status).toBe(409);
    expect(error.message).toBe("It is still in use");
    expect(error.fields).toEqual({});
  });

  it("know which field they are about", async () => {
    const error = await errorFromResponse(fieldRefusal("name", "is taken"));
    expect(error.fields).toEqual({ name: "is taken" });
    expect(error.message).toBe("name: is taken");
  });

  it("keep the first message of a field and messages about no field", async () => {
    const detail = [
      { loc: ["body", "name"], msg: "is too short" },
      { loc: ["body", "name"], msg: "is odd" },
      { loc: ["body"], msg: "is not an object" },
      {},
    ];
    const error = await errorFromResponse(refusal(422, detail));
    expect(error.fields).toEqual({ name: "is too short" });
    expect(error.message).toContain("is not an object");
    expect(error.message).toContain("Not accepted");
  });

  it("say at least the status when the answer says nothing else", async () => {
    for (const response of [
      new Response("<h1>Bad gateway</h1>", { status: 502 }),
      refusal(502, { unexpected: true }),
      refusal(502, []),
    ]) {
      expect((await errorFromResponse(response)).message).toBe(
        "The server answered with status 502.",
      );
    }
  });

  it("are made of whatever was thrown", () => {
    const known = new ApiError(403, "Not yours");
    expect(asApiError(known)).toBe(known);
    expect(asApiError(new TypeError("Failed to fetch")).message).toContain("cannot be reached");
  });
});

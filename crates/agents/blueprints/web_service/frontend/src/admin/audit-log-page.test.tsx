import { screen, within } from "@testing-library/react";
import { describe, expect, it } from "vitest";

import { ApiStub, pageOf, refusal } from "../test/api-stub";
import { renderApp } from "../test/render-app";

const at = "2025-03-01T10:00:00Z";
const entries = [
  { id: 2, at, username: "ada", action: "update", entity: "thing", row_id: 7 },
  { id: 1, at, username: "", action: "sign_in_failed", entity: "", row_id: null },
];

describe("the audit log", () => {
  it("shows who did what to which record", async () => {
    const api = new ApiStub().on("GET /audit-log", pageOf(entries, 120));
    const user = renderApp("/admin/audit-log", api);
    const [, changed, refused] = await screen.findAllByRole("row");
    expect(changed?.textContent).toContain("ada");
    expect(changed?.textContent).toContain("thing 7");
    expect(within(refused as HTMLElement).getAllByText("–")).toHaveLength(2);
    await user.click(screen.getByRole("button", { name: "Next page" }));
    await screen.findByText("51–100 of 120");
    expect(api.last("GET /audit-log").query.get("page")).toBe("2");
  });

  it("says when nothing was recorded", async () => {
    renderApp("/admin/audit-log", new ApiStub().on("GET /audit-log", pageOf([])));
    expect(await screen.findByText("Nothing has been recorded yet.")).toBeDefined();
  });

  it("says when it cannot be read", async () => {
    const api = new ApiStub().on("GET /audit-log", () => refusal(403, "Only for admins"));
    renderApp("/admin/audit-log", api);
    expect((await screen.findByRole("alert")).textContent).toContain("Only for admins");
  });
});

import { screen, waitFor } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";

import { ApiStub, refusal } from "../test/api-stub";
import { renderApp } from "../test/render-app";
import { ada } from "../test/samples";

const accounts = [
  { ...ada, last_sign_in_at: "2025-03-01T10:00:00Z", active_sign_ins: 2 },
  { ...ada, id: 2, username: "grace", last_sign_in_at: null, active_sign_ins: 0 },
];

function prepare(): ApiStub {
  return new ApiStub().on("GET /access-review", accounts);
}

describe("the access review", () => {
  it("shows every account and when it was last used", async () => {
    renderApp("/admin/access-review", prepare());
    const row = (await screen.findByRole("rowheader", { name: "grace" })).parentElement;
    expect(row?.textContent).toContain("Never");
  });

  it("can be taken out as CSV", async () => {
    const api = prepare().on("GET /access-review.csv", () => new Response("id\n"));
    const click = vi.spyOn(HTMLAnchorElement.prototype, "click").mockReturnValue(undefined);
    const user = renderApp("/admin/access-review", api);
    await user.click(await screen.findByRole("button", { name: "Export CSV" }));
    await waitFor(() => expect(click).toHaveBeenCalledOnce());
    api.on("GET /access-review.csv", () => refusal(500, "Not now"));
    await user.click(screen.getByRole("button", { name: "Export CSV" }));
    expect(await screen.findByText("Not now")).toBeDefined();
  });

  it("says when it cannot be read", async () => {
    const api = prepare().on("GET /access-review", () => refusal(403, "Only for admins"));
    renderApp("/admin/access-review", api);
    expect((await screen.findByRole("alert")).textContent).toContain("Only for admins");
  });
});

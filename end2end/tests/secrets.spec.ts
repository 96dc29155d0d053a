import { expect, expectNoViolations, open, test } from "./harness";

const value = "swordfish-and-a-horse-77";

test.describe("a secret", () => {
  test.use({ expectedComplaint: /status of 422/ });

  test("is sealed in Settings, replaced and deleted, and its value is never seen again", async ({ page, request }) => {
    await open(page, "/settings");
    const secrets = page.getByRole("region", { name: "Secrets" });
    await expect(secrets).toContainText("No secret yet");

    // What is wrong is said at its field, and what was typed stays.
    await secrets.getByRole("button", { name: "Add a secret" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name", { exact: true }).fill("deploy token");
    await dialog.getByLabel("Value", { exact: true }).fill(value);
    await dialog.getByRole("button", { name: "Seal it" }).click();
    await expect(dialog.locator(".field").filter({ has: page.getByLabel("Name", { exact: true }) })).toContainText("A to Z");
    await expect(dialog.getByLabel("Value", { exact: true })).toHaveValue(value);
    await dialog.getByLabel("Name", { exact: true }).fill("DEPLOY_TOKEN");
    await dialog.getByRole("button", { name: "Seal it" }).click();
    await expect(dialog).toBeHidden();

    const row = secrets.getByRole("row").filter({ hasText: "DEPLOY_TOKEN" });
    await expect(row).toContainText("all builds");
    await expect(row).toContainText("never");
    await expectNoViolations(page);
    await row.getByRole("button", { name: "Replace" }).click();
    await expect(dialog.getByLabel("Value", { exact: true })).toHaveValue("");
    await dialog.getByLabel("Value", { exact: true }).fill(`${value}-too`);
    await dialog.getByRole("button", { name: "Seal it" }).click();
    await expect(row.getByRole("cell", { name: /^2 / })).toBeVisible();

    await page.reload();
    await expect(row).toBeVisible();
    const seen = [await page.content(), ...(await Promise.all(["/api/secrets", "/api/secrets/audit"].map(async (path) => (await request.get(path)).text())))];
    expect(seen[1]).toContain("DEPLOY_TOKEN");
    expect(seen.join()).not.toContain(value);

    await row.getByRole("button", { name: "Delete DEPLOY_TOKEN" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete it" }).click();
    await expect(secrets).toContainText("No secret yet");
    await secrets.getByText("Who used and changed them").click();
    await expect(secrets.getByRole("row").filter({ hasText: "Deleted" }).filter({ hasText: "DEPLOY_TOKEN" })).toBeVisible();
  });
});

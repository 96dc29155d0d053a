import { expect, expectNoViolations, open, test } from "./harness";

for (const scheme of ["light", "dark"] as const) {
  for (const path of ["/", "/tasks", "/operations", "/settings"]) {
    test(`${path} comes alive without a complaint and without a violation, ${scheme}`, async ({ page }) => {
      await page.emulateMedia({ colorScheme: scheme });
      await open(page, path);
      await expectNoViolations(page);
    });
  }
}

test("the theme switch works and survives a reload", async ({ page }) => {
  await page.emulateMedia({ colorScheme: "light" });
  await open(page, "/");
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await background();
  await page.getByRole("button", { name: "Switch theme" }).click();
  await expect.poll(background).not.toBe(light);
  const dark = await background();
  await page.reload();
  expect(await background()).toBe(dark);
});

test.describe("wrong input", () => {
  test.use({ expectedComplaint: /status of 422/ });

  test("a wrong form says what is wrong at the field and keeps what was typed", async ({ page }) => {
    await open(page, "/");
    const description = page.getByLabel("What would you like Grace to build?");
    for (const text of ["", "   ", "🚀🎉"]) {
      await description.fill(text);
      await page.getByRole("button", { name: "Preview plan" }).click();
      await expect(description).toHaveAttribute("aria-invalid", "true");
      await expect(description).toHaveValue(text);
    }
    await description.fill("Task has title, due date, status (open|done).");
    await page.getByRole("button", { name: "Preview plan" }).click();
    await expect(page.getByRole("region", { name: "Plan preview" })).toContainText("Backend API Development");
    await expect(description).toHaveAttribute("aria-invalid", "false");
  });
});

test("a description is text, never markup", async ({ page }) => {
  await open(page, "/");
  const hostile = '<img src=x onerror="document.title=\'owned\'"> a list of books with title';
  await page.getByLabel("What would you like Grace to build?").fill(hostile);
  await page.getByRole("button", { name: "Preview plan" }).click();
  await expect(page.getByRole("region", { name: "Plan preview" })).toContainText("Backend API Development");
  expect(await page.title()).not.toContain("owned");
});

test.describe("the page of an unknown build", () => {
  test.use({ expectedComplaint: /404/ });
  test("says so and leads to those that there are", async ({ page }) => {
    const answer = await page.goto("/builds/int-code-999999");
    expect(answer?.status()).toBe(404);
    await expect(page.getByRole("main").getByRole("alert")).toContainText("There is no build");
    await page.getByRole("main").getByRole("link", { name: "All builds" }).click();
    await expect(page.getByRole("heading", { name: /Active builds/i })).toBeVisible();
  });
});

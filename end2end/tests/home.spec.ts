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

  test("what is refused in a part that is folded unfolds it, and an entry of a list is told at its list", async ({ page }) => {
    await open(page, "/");
    await page.getByLabel("What would you like Grace to build?").fill("Task has title, due date, status (open|done).");
    const fold = (name: string) => page.locator("details.fold").filter({ has: page.locator("summary", { hasText: name }) });
    await fold("Constraints").locator("summary").click();
    await page.getByLabel("Deadline", { exact: true }).fill("2020-01-01");
    await fold("Constraints").locator("summary").click();
    await expect(fold("Constraints")).not.toHaveAttribute("open");
    await expect(fold("Constraints").locator("summary")).toContainText("By 1 Jan 2020");
    await fold("Artifacts").locator("summary").click();
    await page.getByRole("button", { name: "Add dataset URL" }).click();
    await page.getByRole("textbox", { name: "Add dataset URL" }).fill("nonsense");
    await page.keyboard.press("Enter");
    await fold("Artifacts").locator("summary").click();
    await page.getByRole("button", { name: "Preview plan" }).click();
    await expect(fold("Constraints").getByRole("alert")).toBeVisible();
    await expect(fold("Artifacts").getByRole("alert")).toBeVisible();
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
    const answer = await open(page, "/builds/int-code-999999");
    expect(answer?.status()).toBe(404);
    await expect(page.getByRole("main").getByRole("alert")).toContainText("There is no build");
    await page.getByRole("main").getByRole("link", { name: "All builds" }).click();
    await expect(page.getByRole("heading", { name: /Active builds/i })).toBeVisible();
  });
});

test("the home page is called after its layer, and its parts stand in the order in which work goes through them", async ({ page }) => {
  await open(page, "/");
  const here = page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Builder" });
  await expect(here).toHaveAttribute("aria-current", "page");
  await expect(here).toHaveAttribute("title", "Layer 3 Builder");
  await expect(page.locator(".crumbs")).toHaveText("Layer 3/Intent & Learning");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Intent & Learning");
  const headings = page.getByRole("main").getByRole("heading", { level: 2 });
  const parts = ["Active intents", "Agentic Builder", "Active builds", "Completed projects", "Learning retrospectives", "Agentic brain kernels"];
  await expect(headings).toHaveText(parts);
  const tops = await headings.evaluateAll((all) => all.map((heading) => heading.getBoundingClientRect().top));
  expect(tops).toEqual(tops.toSorted((one, other) => one - other));
  for (const name of parts) {
    await expect(page.getByRole("region", { name, exact: true })).toBeVisible();
  }
  await expect(page.getByRole("region", { name: "Agentic Builder" })).toContainText("Autonomous code generation");
});

test.describe("without the server's events", () => {
  test.use({ expectedComplaint: /ERR_FAILED/ });

  test("the page says that it may be old, and when it is live again", async ({ page }) => {
    let reached = () => {};
    const asked = new Promise<void>((resolve) => (reached = resolve));
    let refuse = () => {};
    const held = new Promise<void>((resolve) => (refuse = resolve));
    await page.route("**/api/events", async (route) => {
      reached();
      await held;
      await route.abort();
    });
    await page.goto("/");
    await asked;
    const state = page.locator(".connection");
    const line = page.getByText("Lost the server. Trying again every few seconds. What you see may be old");
    await expect(state).toHaveText("Connecting");
    await expect(line).toBeHidden();
    refuse();
    await expect(state).toHaveText("Reconnecting…");
    await expect(line).toBeVisible();
    await expectNoViolations(page);
    await page.unroute("**/api/events");
    await expect(state).toHaveText("Live");
    await expect(line).toBeHidden();
  });
});

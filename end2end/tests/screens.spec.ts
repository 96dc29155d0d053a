import { expect, expectNoViolations, open, test } from "./harness";

const pages = ["/", "/tasks", "/operations", "/analytics", "/settings"];

for (const width of [360, 768, 1280, 1920]) {
  test(`no page is wider than a screen of ${width} pixels`, async ({ page }) => {
    await page.setViewportSize({ width, height: 800 });
    for (const path of pages) {
      await open(page, path);
      const beyond = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      expect(beyond, path).toBe(0);
    }
  });
}

test("the co-pilot folds to a rail, stays so over a reload, and opens again", async ({ page }) => {
  await page.setViewportSize({ width: 1280, height: 800 });
  await open(page, "/");
  const fold = page.getByRole("button", { name: "Collapse or open the co-pilot" });
  const field = page.getByLabel("Message to Grace");
  await fold.click();
  await expect(field).toBeHidden();
  // A click before the browser half has taken the page over is lost.
  await open(page, "/");
  await expect(field).toBeHidden();
  await fold.click();
  await expect(field).toBeVisible();
});

test("analytics draw what ended, by span, each drawing with its table and its file", async ({ page, request }) => {
  const created = await request.post("/api/coding_agent/create", { data: { description: "Drawer has name and depth." } });
  const { intent_id: intent } = (await created.json()) as { intent_id: string };
  const { plan_hash } = (await (await request.get(`/api/coding_agent/status/${intent}`)).json()) as { plan_hash: string };
  await request.post(`/api/coding_agent/${intent}/approve`, { data: { approved: false, plan_hash } });
  await open(page, "/analytics");
  const figures = page.getByRole("main").locator("dl.measures").first();
  const stopped = async () => Number(await figures.locator("div").filter({ hasText: "Stopped" }).locator("dd").textContent());
  const before = await stopped();
  expect(before).toBeGreaterThan(0);
  const outcomes = page.locator(".chart-panel").filter({ has: page.getByRole("heading", { name: "Outcomes" }) });
  await expect(outcomes.getByRole("img")).toHaveAttribute("aria-label", /^Outcomes, Builds that ended: from 0 to \d+ in 30 parts/);
  await outcomes.getByText("Table", { exact: true }).click();
  await expect(outcomes.getByRole("row").last()).toContainText(/\d+ stopped/);
  await expectNoViolations(page);
  const [download] = await Promise.all([page.waitForEvent("download"), outcomes.getByRole("link", { name: "CSV" }).click()]);
  expect(download.suggestedFilename()).toBe("grace-over-time-30-days.csv");

  // What ends meanwhile is counted without a reload; another span keeps the place.
  const second = await request.post("/api/coding_agent/create", { data: { description: "Cupboard has name and width." } });
  const { intent_id: other } = (await second.json()) as { intent_id: string };
  await request.post(`/api/coding_agent/${other}/stop`, { data: {} });
  await expect.poll(stopped).toBe(before + 1);
  await page.getByRole("navigation", { name: "Span" }).getByRole("link", { name: "7 days" }).click();
  await expect(page).toHaveURL(/days=7$/);
  await expect(outcomes.getByRole("img")).toHaveAttribute("aria-label", /in 7 parts/);
  await page.goBack();
  await expect(outcomes.getByRole("img")).toHaveAttribute("aria-label", /in 30 parts/);
});

test("deploying all asks first, and says so when nothing is ready", async ({ page }) => {
  await open(page, "/operations");
  await page.getByRole("main").getByRole("button", { name: "Deploy all" }).click();
  const dialog = page.getByRole("dialog", { name: "Deploy all that is ready" });
  await expect(dialog.getByRole("button", { name: "Not now" })).toBeVisible();
  await expect(dialog).toContainText(/No build is ready|Each goes to the first environment/);
  await expectNoViolations(page);
  await page.keyboard.press("Escape");
  await expect(dialog).toBeHidden();
});

test("the palette is one line to write in, with what it finds under it", async ({ page }) => {
  await open(page, "/");
  await page.keyboard.press("Control+k");
  const field = page.getByRole("combobox", { name: "Search builds and commands" });
  await field.fill("tasks");
  await expect(page.getByRole("option", { name: "Layer 2: Tasks" })).toBeVisible();
  expect((await field.boundingBox())?.width ?? 0).toBeGreaterThan(400);
  await expectNoViolations(page);
  await field.press("Enter");
  await expect(page).toHaveURL(/\/tasks$/);
});

test("a log that is left before it has read everything leaves the page alive", async ({ page, request }) => {
  const created = await request.post("/api/coding_agent/create", { data: { description: "Shelf has name and height." } });
  const { intent_id: intent } = (await created.json()) as { intent_id: string };
  await open(page, `/builds/${intent}`);
  const tabs = page.getByRole("navigation", { name: "Sections" });
  for (let round = 0; round < 5; round++) {
    await tabs.getByRole("link", { name: /^Log/ }).click();
    await tabs.getByRole("link", { name: /^Plan/ }).click();
    await page.goBack();
    await page.goBack();
  }
  await tabs.getByRole("link", { name: /^Reviews/ }).click();
  await expect(page.getByRole("heading", { name: "Reviews" })).toBeVisible();
});

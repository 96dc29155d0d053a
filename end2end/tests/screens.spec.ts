import { expect, expectNoViolations, open, statusOf, test } from "./harness";

const pages = ["/", "/tasks", "/operations", "/documents", "/analytics", "/settings"];

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
  // The plan at its own address; what a blueprint builds is changed in words alone.
  await open(page, `/builds/${intent}?tab=plan`);
  await expect(page.getByLabel("Plan").getByRole("link", { name: "Modify" })).toBeVisible();
  await expect(page.getByRole("button", { name: "Edit", exact: true })).toBeHidden();
});

test("keys open the palette, the list of keys, the form and the co-pilot, but not while something is written", async ({ page }) => {
  await open(page, "/tasks");
  const palette = page.getByRole("dialog", { name: "Search or run" });
  await page.keyboard.press("/");
  await expect(palette).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(palette).toBeHidden();
  await page.keyboard.press("?");
  const keys = page.getByRole("dialog", { name: "Keyboard shortcuts" });
  await expect(keys).toContainText("Start a new build");
  await expectNoViolations(page);
  await keys.getByRole("button", { name: "Close" }).click();
  await expect(keys).toBeHidden();
  await page.keyboard.press("n");
  const description = page.getByLabel("What would you like Grace to build?");
  await expect(description).toBeFocused();
  expect(new URL(page.url()).pathname).toBe("/");
  await page.keyboard.type("n / ? c");
  await expect(description).toHaveValue("n / ? c");
  await expect(page.getByRole("dialog")).toHaveCount(0);
  await description.fill("");
  await description.blur();
  await page.keyboard.press("c");
  await expect(page.getByLabel("Message to Grace")).toBeFocused();
});

test("the palette approves, pauses and finds builds, switches the theme and opens what deploys all", async ({ page, request }) => {
  const created = await request.post("/api/coding_agent/create", { data: { description: "Ratline has length and year. Users sign in." } });
  const { intent_id: intent } = (await created.json()) as { intent_id: string };
  const status = async () => (await statusOf(request, intent)).status;
  await open(page, "/settings");
  const run = async (words: string, line: string | RegExp) => {
    await page.getByRole("button", { name: "Search and commands" }).click();
    await page.getByRole("combobox", { name: "Search builds and commands" }).fill(words);
    await page.getByRole("option", { name: line }).click();
    await expect(page.getByRole("dialog", { name: "Search or run" })).toBeHidden();
  };
  await run("approve ratline", "Approve the plan of Ratlines feature");
  await expect.poll(status).toBe("executing");
  await run("pause ratline", "Pause Ratlines feature");
  await expect.poll(status).toBe("paused");
  await run("resume ratline", "Resume Ratlines feature");
  await expect.poll(status).toBe("executing");
  await run(`ratline ${intent}`, new RegExp(`feature ${intent}`));
  await expect(page).toHaveURL(`/builds/${intent}`);
  await request.post(`/api/coding_agent/${intent}/stop`);

  const theme = () => page.evaluate(() => document.documentElement.getAttribute("data-theme"));
  const before = await theme();
  await run("theme", "Switch theme");
  await expect.poll(theme).not.toBe(before);
  await run("deploy all", "Deploy all that is ready");
  await page.getByRole("dialog", { name: "Deploy all that is ready" }).getByRole("button", { name: "Close" }).click();
  for (const [words, address] of [["builder", "/"], ["operations", "/operations"], ["analytics", "/analytics"]] as const) {
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox", { name: "Search builds and commands" }).fill(words);
    await page.keyboard.press("Enter");
    await expect(page).toHaveURL(address);
  }
});

test.describe("while the server is away", () => {
  test.use({ expectedComplaint: /ERR_FAILED/ });

  test("the page says so, and is live again by itself once it is back", async ({ page }) => {
    let lost = (): void => {};
    const held = new Promise<void>((resolve) => (lost = resolve));
    await page.route("**/api/events**", async (route) => {
      await held;
      await route.abort();
    });
    await page.goto("/operations");
    const state = page.locator(".connection");
    const offline = page.getByText("Lost the server. Trying again every few seconds.");
    await expect(state).toHaveText("Connecting");
    await expect(offline).toBeHidden();
    lost();
    await expect(state).toHaveText("Reconnecting…");
    await expect(offline).toBeVisible();
    await expectNoViolations(page);
    await page.unroute("**/api/events**");
    await expect(state).toHaveText("Live", { timeout: 30_000 });
    await expect(offline).toBeHidden();
  });
});

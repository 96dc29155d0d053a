import { readFile } from "node:fs/promises";

import { type APIRequestContext, type Locator, type Page } from "@playwright/test";

import { expect, expectNoViolations, open, statusOf, test, waitForStatus } from "./harness";
import { line, ScriptedModel, startLine } from "./scripted";

const active = (page: Page): Locator => page.getByRole("region", { name: "Active builds" });
const completed = (page: Page): Locator => page.getByRole("region", { name: "Completed projects" });
/** The row of a build in one of the tables. */
const row = (table: Locator, intent: string): Locator => table.getByRole("row").filter({ hasText: intent });
const toast = (page: Page, words: string | RegExp): Locator => page.getByRole("status").filter({ hasText: words });

type Log = { items: { seq: number; at: string; level: string; message: string }[] };

async function logOf(request: APIRequestContext, intent: string): Promise<Log["items"]> {
  return ((await (await request.get(`/api/coding_agent/${intent}/logs`)).json()) as Log).items;
}

/** A build of the blueprint that waits for approval. */
async function waiting(request: APIRequestContext, description: string, constraints: object = {}): Promise<string> {
  const data = { description, target_domain: "api", constraints: { stack: "fastapi", ...constraints } };
  const created = await request.post("/api/coding_agent/create", { data });
  expect(created.status()).toBe(201);
  return ((await created.json()) as { intent_id: string }).intent_id;
}

test("a plan that waits stands in both tables and is changed, and approved with its changes, from its row", async ({ page, request }) => {
  const year = new Date().getUTCFullYear() + 1;
  const intent = await waiting(request, "Trunk has name and depth.", { deadline: `${year}-11-20` });
  await open(page, "/");
  const asked = row(page.getByRole("region", { name: "Active intents" }), intent);
  await expect(asked).toContainText("Trunk has name and depth.");
  await expect(asked).toContainText("Awaiting approval");
  await expect(asked).toContainText("20 Nov");
  await asked.getByRole("link", { name: "Approve plan" }).click();
  await expect(page).toHaveURL(new RegExp(`/builds/${intent}\\?tab=plan$`));
  await page.goBack();
  await asked.getByRole("link", { name: intent }).click();
  await expect(page).toHaveURL(new RegExp(`/builds/${intent}$`));
  await expect(page.getByRole("heading", { level: 1, name: "Trunks feature" })).toBeVisible();

  await open(page, "/");
  await expect(active(page).getByRole("columnheader")).toHaveText(["Project", "Status", "Stage", "Elapsed", "Actions"]);
  const build = row(active(page), intent);
  await expect(build.getByRole("rowheader")).toContainText(`Trunks feature${intent}`);
  const { estimated_tasks: tasks } = (await (
    await request.post("/api/coding_agent/preview", {
      data: { description: "Trunk has name and depth.", target_domain: "api", constraints: { stack: "fastapi", deadline: `${year}-11-20` } },
    })
  ).json()) as { estimated_tasks: number };
  await expect(build).toContainText(new RegExp(`Awaiting approval.*Planning\\s*Review ${tasks} tasks\\s*10 %`, "s"));
  await expect(build.getByRole("progressbar", { name: "Progress" })).toHaveAttribute("aria-valuetext", "Planning, 10 %");
  await expect(build.getByRole("button", { name: /^Stop/ })).toHaveCount(0);

  await build.getByRole("link", { name: "Modify" }).click();
  const dialog = page.getByRole("dialog", { name: "Modify the plan of Trunks feature" });
  await dialog.getByRole("button", { name: "Leave it as it is" }).click();
  await expect(dialog).toBeHidden();
  await build.getByRole("link", { name: "Modify" }).click();
  await dialog.getByRole("textbox").fill("Add field colour to Trunk\nAdd Redis caching layer");
  await expectNoViolations(page);
  await dialog.getByRole("button", { name: "Change plan" }).click();
  await expect(dialog).toBeHidden();
  expect((await statusOf(request, intent)).status, "a changed plan waits again").toBe("awaiting_approval");
  await asked.getByRole("link", { name: "Approve plan" }).click();
  const answers = page.locator(".part").filter({ hasText: "Changes asked for" });
  await expect(answers.getByRole("listitem")).toHaveText([/^Add field colour to Trunk: /, /^Add Redis caching layer: /]);

  await open(page, "/");
  await build.getByRole("link", { name: "Modify" }).click();
  await dialog.getByRole("textbox").fill("Add field weight to Trunk");
  await dialog.getByLabel("Start, or go on, at once without showing me the new revision").check();
  await dialog.getByRole("button", { name: "Change plan" }).click();
  await expect(toast(page, "Plan approved with modifications. Execution started.")).toBeVisible();
  await build.getByRole("button", { name: "Stop Trunks feature" }).click();
  await page.getByRole("dialog", { name: "Stop Trunks feature?" }).getByRole("button", { name: "Stop build" }).click();
  await expect(row(completed(page), intent)).toContainText("Stopped");
  expect((await statusOf(request, intent)).status).toBe("stopped");
});

test.describe("a build of the blueprint", () => {
  test.describe.configure({ mode: "serial" });
  let intent: string;

  test("is approved in its row and is seen to go on to the end, where it is listed with what it took and measured", async ({ page, request }) => {
    // The first build of a server fetches the packages of all later ones.
    test.setTimeout(420_000);
    intent = await waiting(request, "Hatch has name and depth.");
    await open(page, "/");
    const build = row(active(page), intent);
    const before = Number(await completed(page).locator(".count").textContent());
    await build.getByRole("button", { name: "Approve" }).click();
    await expect(build).toContainText("Executing");
    await expect(build.locator("xpath=following-sibling::tr[1]"), "its latest log line").toContainText(/\d\d:\d\d:\d\d\s*INFO/);
    await expect(build).toHaveCount(0, { timeout: 400_000 });

    const done = await waitForStatus(request, intent, "completed", 1_000);
    const ended = row(completed(page), intent);
    await expect(completed(page).getByRole("columnheader")).toHaveText(["Project", "Finished", "Took", "Tests, coverage", "Actions"]);
    await expect(ended).toContainText(/Completed\s*today \d\d:\d\d/);
    await expect(ended).toContainText(/\d (s|min)\s*of \d.* (s|min) planned/);
    const coverage = `${Math.round((done.tests?.coverage_percent ?? 0) * 10) / 10} %`;
    await expect(ended).toContainText(new RegExp(`${done.tests?.passed} passed\\s*${coverage}`));
    await expect(completed(page).locator(".count")).toHaveText(String(before + 1));
    const { total } = (await (await request.get("/api/coding_agent/completed")).json()) as { total: number };
    expect(total).toBe(before + 1);
  });

  test("the list of what has ended folds, and its request is put into the form again", async ({ page }) => {
    await open(page, "/");
    const ended = row(completed(page), intent);
    await expect(ended).toBeVisible();
    await completed(page).getByRole("heading", { name: "Completed projects" }).click();
    await expect(ended).toBeHidden();
    await completed(page).getByRole("heading", { name: "Completed projects" }).click();
    await ended.getByRole("button", { name: "Reuse this request in the form" }).click();
    await expect(toast(page, "The form holds that request now.")).toBeVisible();
    const form = page.getByRole("form", { name: "New build" });
    await expect(form.getByLabel("What would you like Grace to build?")).toHaveValue("Hatch has name and depth.");
    await expect(form.getByLabel("Target domain")).toHaveValue("api");
    await expect(form.getByLabel("Stack")).toHaveValue("fastapi");
    await ended.getByRole("button", { name: "Deploy" }).click();
    const dialog = page.getByRole("dialog", { name: "Deploy Hatches feature" });
    await dialog.getByRole("button", { name: "Not now" }).click();
    await expect(dialog).toBeHidden();
    await ended.getByRole("link", { name: "View" }).click();
    await expect(page.getByRole("dialog", { name: new RegExp(intent) })).toContainText("Completed");
    await page.keyboard.press("Escape");
    await expect(page.getByRole("dialog")).toBeHidden();
    await ended.getByRole("link", { name: "Hatches feature" }).click();
    await expect(page).toHaveURL(new RegExp(`/builds/${intent}$`));
  });

  test("its page shows what was tested and made, and hands it out", async ({ page, request }) => {
    const done = await statusOf(request, intent);
    await open(page, `/builds/${intent}`);
    const main = page.getByRole("main");
    const sections = page.getByRole("navigation", { name: "Sections" });
    const figures = main.getByRole("region", { name: "Build" }).locator("dl.kpis > div");
    const coverage = `${Math.round((done.tests?.coverage_percent ?? 0) * 10) / 10} %`;
    await expect(figures.filter({ hasText: "Tests" })).toHaveText(`Tests${done.tests?.passed} passed`);
    await expect(figures.filter({ hasText: "Coverage" })).toHaveText(`Coverage${coverage}`);
    await expect(figures.filter({ hasText: "Tasks" })).toHaveText(new RegExp(`^Tasks${done.tasks.length}\\s*of ${done.tasks.length}$`));
    await expect(figures.filter({ hasText: "Deploy" })).toHaveText("Deployready to deploy");

    await sections.getByRole("link", { name: /^Tests/ }).click();
    const tests = main.getByRole("region", { name: "Tests", exact: true });
    await expect(tests).toContainText(`${done.tests?.passed} passed, ${coverage} of lines covered`);
    await expect(tests.getByRole("row").filter({ hasText: "pytest" })).toContainText(/\d+ passed/);
    await expect(tests.locator("code")).toHaveText(done.tests?.command ?? "");
    await expect(main.getByRole("region", { name: "Linters and type checkers" }).getByRole("row").filter({ hasText: "ruff" }).first()).toContainText("Clean");
    await expectNoViolations(page);

    await sections.getByRole("link", { name: /^Artifacts/ }).click();
    const tree = main.getByRole("navigation", { name: "Files" });
    await expect(tree.getByRole("link")).toHaveCount(done.artifacts_generated.length);
    await tree.getByRole("link", { name: /^README\.md/ }).click();
    await expect(main.getByLabel("Source of README.md")).toContainText("Hatches");
    for (const [button, name] of [["Download all", /\.zip$/], ["Patch", /\.patch$/], ["Report", /-report\.md$/]] as const) {
      const [file] = await Promise.all([page.waitForEvent("download"), main.getByRole("link", { name: button }).click()]);
      expect(file.suggestedFilename()).toMatch(name);
    }
    await expectNoViolations(page);

    await sections.getByRole("link", { name: "Retrospective" }).click();
    const retrospective = main.getByRole("region", { name: "Retrospective" });
    await expect(retrospective).toContainText("Coding build: Hatches feature");
    await expectNoViolations(page);
  });

  test("from its dialog it is deployed at once, and its address stands in the list", async ({ page, request }) => {
    test.setTimeout(120_000);
    await open(page, "/");
    await row(completed(page), intent).getByRole("link", { name: "View" }).click();
    const detail = page.getByRole("dialog", { name: new RegExp(intent) });
    const paths = (await statusOf(request, intent)).artifacts_generated.map(({ path }) => path);
    await expect(detail).toContainText(`Artifacts, ${paths.length}`);
    await expect(detail.locator(".file-list").getByRole("link"), "of many files the last by path").toHaveText(paths.slice(-5).reverse());
    await detail.getByRole("button", { name: "Deploy now" }).click();
    const dialog = page.getByRole("dialog", { name: "Deploy Hatches feature" });
    await expect(dialog.getByRole("radio", { name: "Staging" })).toBeChecked();
    await expect(dialog.getByLabel("Roll back by itself when it turns unhealthy")).toBeChecked();
    await dialog.getByText("Development", { exact: false }).first().click();
    await dialog.getByLabel("Run the project's tests on the release first").uncheck();
    await expectNoViolations(page);
    // It may be there for a moment only.
    const deploying = page.waitForFunction(
      (id) =>
        [...document.querySelectorAll("table.builds tr")].some(
          (row) => row.textContent?.includes(id) && row.querySelector(".stagecap b")?.textContent === "Deploying",
        ),
      intent,
      { timeout: 60_000 },
    );
    await dialog.getByRole("button", { name: "Deploy to development" }).click();
    await expect(dialog).toBeHidden();
    await deploying;
    await waitForStatus(request, intent, "deployed", 90_000);
    const ended = row(completed(page), intent);
    await expect(ended).toContainText("Deployed");
    const { items } = (await (await request.get("/api/deployments?limit=1")).json()) as { items: { url: string }[] };
    await expect(ended.getByRole("link", { name: "Open" })).toHaveAttribute("href", items[0]?.url ?? "");
    await open(page, `/builds/${intent}`);
    await expect(page.getByRole("main").getByRole("link", { name: "Open the service" })).toHaveAttribute("href", items[0]?.url ?? "");
  });
});

test.describe("a build that goes on when it is let go", () => {
  test.describe.configure({ mode: "serial" });
  const title = "Row of lamps";
  let model: ScriptedModel;
  let intent: string;

  test.beforeAll(async ({ request }) => {
    model = await ScriptedModel.start(request, line(title));
    intent = await startLine(request, model, title);
  });

  test.afterAll(async ({ request }) => {
    await request.post(`/api/coding_agent/${intent}/stop`);
    await model.end(request);
  });

  test("is paused, resumed and shown alone, and stopping it asks first", async ({ page, request }) => {
    const other = await waiting(request, "Barrel has name and depth.");
    await open(page, "/");
    const build = row(active(page), intent);
    await expect(build).toContainText("Executing");
    const { total } = (await (await request.get("/api/coding_agent/active")).json()) as { total: number };
    await expect(active(page).locator(".count")).toHaveText(String(total));

    await active(page).getByRole("button", { name: "Need you, 1" }).click();
    await expect(build).toHaveCount(0);
    await expect(row(active(page), other)).toBeVisible();
    await active(page).getByRole("button", { name: "All", exact: true }).click();
    await expect(build).toBeVisible();
    await request.post(`/api/coding_agent/${other}/stop`);
    await expect(active(page).locator(".count")).toHaveText(String(total - 1));

    await build.getByRole("button", { name: `Pause ${title}` }).click();
    await expect(toast(page, "Paused. What runs now is finished first; nothing new is begun.")).toBeVisible();
    await expect(build).toContainText("Paused");
    expect((await statusOf(request, intent)).status).toBe("paused");
    await build.getByRole("button", { name: `Resume ${title}` }).click();
    await expect(build).toContainText("Executing");
    await expect(build.getByRole("button", { name: `Pause ${title}` })).toBeEnabled();

    await build.getByRole("button", { name: `Stop ${title}` }).click();
    const dialog = page.getByRole("dialog", { name: `Stop ${title}?` });
    await expect(dialog).toContainText("a stopped build cannot be resumed");
    await expectNoViolations(page);
    await dialog.getByRole("button", { name: "Keep it" }).click();
    await expect(dialog).toBeHidden();
    expect((await statusOf(request, intent)).status).toBe("executing");
  });

  test("its row moves with each task, without a reload, through the stages", async ({ page }) => {
    await open(page, "/");
    const build = row(active(page), intent);
    const shown = async (stage: string, caption: string, share: number) => {
      await expect(build.locator(".stagecap")).toHaveText(new RegExp(`^${stage}\\s*${caption}\\s*${share} %$`));
      await expect(build.getByRole("progressbar")).toHaveAttribute("aria-valuenow", String(share));
    };
    const latest = build.locator("xpath=following-sibling::tr[1]");
    await shown("Designing", "Design, 0 of 5 tasks", 20);
    model.letGo("Your task is `sketch`");
    await shown("Coding", "Backend, 1 of 5 tasks", 30);
    await expect(latest).toContainText(/INFO\s*Make the first part …/);
    model.letGo("Your task is `first`");
    await shown("Coding", "Backend, 2 of 5 tasks", 50);
    await expect(latest).toContainText(/INFO\s*Make the second part …/);
    await expect(row(page.getByRole("region", { name: "Active intents" }), intent)).toContainText(/Executing\s*50 %/);
    await expect(page.getByRole("region", { name: "Notifications" })).toContainText(/\d building/);
  });

  test("its log unfolds in the table, holds, filters, and is exported", async ({ page, request }) => {
    await open(page, "/");
    const logs = active(page).getByRole("button", { name: `Logs of ${title}` });
    await expect(logs).toHaveAttribute("aria-expanded", "false");
    await logs.click();
    await expect(logs).toHaveAttribute("aria-expanded", "true");
    const console = active(page).locator(".console");
    const pane = console.getByRole("region", { name: `Log of ${title}` });
    const lines = pane.getByRole("listitem");
    const all = await logOf(request, intent);
    await expect(lines).toHaveCount(all.length);
    const detail = active(page).getByRole("group", { name: "Progress detail" });
    await expect(detail.locator("dl.facts > div").filter({ hasText: "Phase" })).toHaveText(/^Phase\S.* \(\d+ %\)$/);
    await expect(detail.locator("dl.facts > div").filter({ hasText: "Artifacts" })).toHaveText(/^Artifacts\d+ completed/);
    await expect(detail.getByRole("link", { name: "View code" })).toHaveAttribute("href", `/builds/${intent}?tab=artifacts`);
    await expect(detail.getByRole("button", { name: "Chat with agent" })).toBeVisible();
    const warning = all.find((entry) => entry.level === "warn");
    if (!warning) throw new Error("what is forbidden is warned about");
    const time = await page.evaluate((at) => new Date(at).toTimeString().slice(0, 8), warning.at);
    await expect(lines.filter({ hasText: "Not run" })).toHaveText(new RegExp(`^${warning.seq}\\s*${time}\\s*WARN\\s*Not run: Builds push nothing`));
    await expect(lines.filter({ hasText: "counted" }).last()).toContainText("INFO");
    await expectNoViolations(page);

    await console.getByLabel("Level").selectOption("Warnings");
    await expect(lines).toHaveCount(1);
    await expect(console).toContainText(`1 of ${all.length} lines`);
    await console.getByLabel("Level").selectOption("Errors");
    await expect(pane).toContainText("No line passes the filters.");
    await console.getByLabel("Level").selectOption("Info and above");
    await expect(lines).toHaveCount(all.length);
    await console.getByLabel("Level").selectOption("All levels");
    await console.getByLabel("Filter log").fill("FIRST PART");
    await expect(lines).toHaveText([/Make the first part …/]);
    await console.getByLabel("Filter log").fill("first");
    const passing = all.filter((entry) => entry.message.toLowerCase().includes("first"));
    await expect(lines).toHaveCount(passing.length);
    const [file] = await Promise.all([page.waitForEvent("download"), console.getByRole("button", { name: "Export" }).click()]);
    expect(file.suggestedFilename()).toBe(`${intent}.log`);
    const exported = (await readFile(await file.path(), "utf8")).trimEnd().split("\n");
    expect(exported.map((text) => text.replace(/^(\d+) \S+ /, "$1 "))).toEqual(
      passing.map((entry) => `${entry.seq} ${entry.level.toUpperCase().padEnd(5)} ${entry.message}`),
    );
    await console.getByLabel("Filter log").fill("");

    // Held, it stays as it is; let go, it catches up.
    const live = console.getByRole("switch", { name: "Live" });
    await expect(live).toBeChecked();
    await live.uncheck();
    model.hold("half way");
    model.letGo("Your task is `second`");
    await expect.poll(async () => (await logOf(request, intent)).length).toBeGreaterThan(all.length + 2);
    await expect(active(page).locator(".tailline"), "the line under the row goes on").toContainText("half way");
    await expect(lines).toHaveCount(all.length);
    await live.check();
    await expect(lines.last()).toContainText("half way");
  });

  test("help is asked for from its log, and it is stopped there", async ({ page, request }) => {
    await open(page, "/");
    await active(page).getByRole("button", { name: `Logs of ${title}` }).click();
    const console = active(page).locator(".console");
    await console.getByRole("button", { name: "Request help" }).click();
    await console.getByLabel("What should a person look at?").fill("Is the second part as bright as the first?");
    await expectNoViolations(page);
    await console.getByRole("button", { name: "Ask" }).click();
    await expect(toast(page, "Asked. The question is in the co-pilot.")).toBeVisible();
    await expect(console.getByRole("button", { name: "Request help" })).toBeVisible();
    const copilot = page.getByRole("complementary", { name: "Co-pilot" });
    await expect(copilot.getByRole("listitem").filter({ hasText: "Is the second part as bright as the first?" })).toContainText(title);
    expect((await statusOf(request, intent)).status, "it blocks nothing").toBe("executing");

    await console.getByRole("button", { name: "Stop build" }).click();
    await page.getByRole("dialog", { name: `Stop ${intent}?` }).getByRole("button", { name: "Stop build" }).click();
    await expect(row(completed(page), intent)).toContainText("Stopped");
    await expect(row(active(page), intent)).toHaveCount(0);
    expect((await statusOf(request, intent)).status).toBe("stopped");
    expect(await model.problems(request)).toEqual([]);
  });
});

test.describe("a build whose model fails", () => {
  test("is listed with its reason, and tried again from there", async ({ page, request }) => {
    const model = await ScriptedModel.start(request, []);
    const data = { description: "Row of bells", target_domain: "cli_tool", constraints: { stack: "described" } };
    const { intent_id: intent } = (await (await request.post("/api/coding_agent/create", { data })).json()) as { intent_id: string };
    await expect.poll(async () => (await statusOf(request, intent)).status).toBe("failed");
    await open(page, "/");
    const ended = row(completed(page), intent);
    await expect(ended).toContainText(/Failed.*did not start.*not run/s);
    await expect(ended.getByRole("cell").filter({ hasText: "Failed" })).toHaveAttribute("title", /refused the request/);
    model.hold("Row of bells");
    await ended.getByRole("button", { name: "Retry" }).click();
    await expect(row(active(page), intent)).toContainText(/Planning.*Making the plan/s);
    model.letGo("Row of bells");
    await expect(ended).toContainText("Failed");
    await model.end(request);
  });
});

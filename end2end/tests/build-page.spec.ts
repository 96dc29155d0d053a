import { type Locator, type Page } from "@playwright/test";

import { expect, expectNoViolations, open, statusOf, test, waitForStatus } from "./harness";
import { line, ScriptedModel, startLine } from "./scripted";

test.describe.configure({ mode: "serial" });

const title = "Shelf of clocks";
let model: ScriptedModel;
let intent: string;

test.beforeAll(async ({ request }) => {
  model = await ScriptedModel.start(request, line(title));
  intent = await startLine(request, model, title);
  model.hold("half way");
  ["sketch", "first", "second"].forEach((key) => model.letGo(`Your task is \`${key}\``));
  // Halfway through the second of the two tasks of its phase.
  await expect.poll(async () => (await statusOf(request, intent)).artifacts_generated.length, { timeout: 30_000 }).toBe(3);
});

test.afterAll(async ({ request }) => {
  await request.post(`/api/coding_agent/${intent}/stop`);
  await model.end(request);
});

/** Opens the progress detail dialog from the row of the active build. */
async function view(page: Page, build = intent): Promise<Locator> {
  await open(page, "/");
  await page.getByRole("region", { name: "Active builds" }).getByRole("row").filter({ hasText: build }).getByRole("link", { name: "View" }).click();
  const dialog = page.getByRole("dialog", { name: new RegExp(build) });
  await expect(dialog.getByRole("heading", { name: "Phases" })).toBeVisible();
  return dialog;
}

const section = (dialog: Locator, name: string | RegExp): Locator =>
  dialog.locator(".stack-s").filter({ has: dialog.page().getByRole("heading", { level: 3, name }) });

test("the dialog shows how far a build is, phase by phase, with its files and what comes next", async ({ page }) => {
  const dialog = await view(page);
  await expect(dialog.getByRole("heading", { level: 2 })).toHaveText(`${title} (${intent})`);
  await expect(dialog.locator(".line .st").first()).toHaveText("Executing");
  const facts = dialog.locator("dl.facts > div");
  await expect(facts.filter({ hasText: "Progress" })).toHaveText("Progress50 %");
  await expect(dialog.getByRole("progressbar", { name: "Progress" })).toHaveAttribute("aria-valuetext", "Coding, 50 %");
  const elapsed = facts.filter({ hasText: "Elapsed" });
  await expect(elapsed).toHaveText(/^Elapsed(\d+ min )?\d+ s$/);
  const before = (await elapsed.textContent()) ?? "";
  await expect(elapsed, "it ticks").not.toHaveText(before);

  const current = dialog.locator(".stack-s").filter({ hasText: "Current phase" });
  await expect(current).toContainText("Current phase Backend 1 of 2 tasks");
  await expect(current.locator(".meter-row")).toHaveText("50 %");
  // How long each is planned to take follows from like builds.
  await expect(section(dialog, "Phases").getByRole("listitem")).toHaveText([
    /^Design \d.* (s|min)Completed$/,
    /^Backend \d.* (s|min)50 % complete$/,
    /^Checks \d.* (s|min)Pending$/,
    /^Guide \d.* (s|min)Pending$/,
  ]);
  const next = section(dialog, "Blockers and next steps");
  await expect(next).toContainText("Blockers: none");
  await expect(next.getByRole("listitem")).toHaveText([/^Make the second part \(about .+\)$/, /^Make the checks \(about .+\)$/, /^Make the guide \(about .+\)$/]);

  const files = section(dialog, /^Artifacts, 3/);
  await expect(files.getByRole("heading")).toHaveText("Artifacts, 3 3 code files");
  await expect(files.getByRole("listitem").filter({ hasText: "first.txt" })).toHaveText(/first\.txt\s*3 lines$/);
  await expect(files.getByRole("listitem").filter({ hasText: "first.txt" }).locator(".mark.success")).toBeVisible();
  await expect(files.getByRole("listitem").filter({ hasText: "second.txt" }).locator(".mark.running"), "it is being written").toBeVisible();
  await expectNoViolations(page);

  await dialog.getByRole("button", { name: "Close" }).click();
  await expect(dialog).toBeHidden();
});

test("the dialog's links lead to the build's page, its code, a file of it and the archive", async ({ page }) => {
  let dialog = await view(page);
  await dialog.getByRole("link", { name: "View code" }).click();
  await expect(dialog).toBeHidden();
  await expect(page).toHaveURL(new RegExp(`/builds/${intent}\\?tab=artifacts$`));
  const tree = page.getByRole("main").getByRole("navigation", { name: "Files" });
  await expect(tree.getByRole("link", { name: /^second\.txt/ })).toContainText("in progress");
  await expect(tree.getByRole("link", { name: /^first\.txt/ })).toContainText("3");
  await tree.getByRole("link", { name: /^second\.txt/ }).click();
  await expect(page.getByLabel("Source of second.txt"), "what is written so far can be read").toContainText("one");

  dialog = await view(page);
  await dialog.getByRole("link", { name: "sketch.txt" }).click();
  await expect(page).toHaveURL(/tab=artifacts&file=sketch\.txt$/);
  await expect(page.getByLabel("Source of sketch.txt")).toContainText("two");

  dialog = await view(page);
  const [archive] = await Promise.all([page.waitForEvent("download"), dialog.getByRole("link", { name: "Download all" }).click()]);
  expect(archive.suggestedFilename()).toMatch(/\.zip$/);
  await dialog.getByRole("link", { name: "Open the build's page" }).click();
  await expect(page.getByRole("heading", { level: 1, name: title })).toBeVisible();
});

test("the dialog pauses, resumes, says why it cannot deploy, turns the chat to the build, and asks before it stops", async ({ page, request }) => {
  const dialog = await view(page);
  const status = dialog.locator(".line .st").first();
  await dialog.getByRole("button", { name: "Pause" }).click();
  await expect(status).toHaveText("Paused");
  await expect(section(dialog, "Blockers and next steps")).toContainText("Paused by a person.");
  await expectNoViolations(page);
  await dialog.getByRole("button", { name: "Resume" }).click();
  await expect(status).toHaveText("Executing");
  const deploy = dialog.getByRole("button", { name: "Deploy now" });
  await expect(deploy).toBeDisabled();
  await expect(deploy).toHaveAttribute("title", /How to start what a model built, it does not/);

  await dialog.getByRole("button", { name: "Stop" }).click();
  const question = page.getByRole("dialog", { name: `Stop ${title}?` });
  await question.getByRole("button", { name: "Keep it" }).click();
  expect((await statusOf(request, intent)).status).toBe("executing");
  await dialog.getByRole("button", { name: "Chat with agent" }).click();
  await expect(dialog).toBeHidden();
  await expect(page.getByLabel("Message to Grace")).toHaveAttribute("placeholder", new RegExp(intent));

  // Another one is stopped, for this one is to go on.
  const other = await startLine(request, model, title);
  const its = await view(page, other);
  await its.getByRole("button", { name: "Stop" }).click();
  await question.getByRole("button", { name: "Stop build" }).click();
  await expect(its.locator(".line .st").first()).toHaveText("Stopped");
  await expect(its.getByRole("button", { name: "Stop" })).toBeDisabled();
  await expect(its.getByRole("heading", { level: 2 }), "it keeps its name when it leaves the active list").toHaveText(`${title} (${other})`);
  expect((await statusOf(request, other)).status).toBe("stopped");
  expect((await statusOf(request, intent)).status).toBe("executing");
});

test("the build's page has its figures, phases as a chart and as a table, its tasks, and a tab for everything", async ({ page, request }) => {
  await open(page, `/builds/${intent}`);
  const main = page.getByRole("main");
  const hero = main.getByRole("region", { name: "Build" });
  await expect(hero.locator(".stagecap")).toHaveText(/^Coding\s*2 of 5 tasks, now Backend\s*50 %$/);
  const figures = hero.locator("dl.kpis > div");
  await expect(figures.filter({ hasText: "Tasks" })).toHaveText(/^Tasks2\s*of 5$/);
  await expect(figures.filter({ hasText: "Tests" })).toHaveText("Testsnot run yet");
  await expect(figures.filter({ hasText: "Coverage" })).toHaveText("Coveragenot measured");
  await expect(figures.filter({ hasText: "Left" })).toHaveText(/^Leftabout .+/);
  await expect(figures.filter({ hasText: "Deploy" })).toHaveText("Deploynot offered");

  const phases = main.getByRole("region", { name: "Phases" });
  await expect(phases.getByRole("img", { name: /^Design: planned \d.*, actual \d/ })).toBeVisible();
  await expect(phases.getByRole("img", { name: /^Checks: planned \d.*, not started$/ })).toBeVisible();
  await phases.getByRole("button", { name: "As a table" }).click();
  await expect(phases.getByRole("row").filter({ hasText: "Backend" })).toHaveText(/^Backend50 % complete1 of 2\d.* (s|min)/);
  await phases.getByRole("button", { name: "As a chart" }).click();
  const tasks = main.getByRole("region", { name: "Tasks" });
  await expect(tasks).toContainText("2 of 5 done, 1 running");
  await expect(tasks.getByRole("listitem").filter({ hasText: "Make the checks" })).toHaveText(/^3\.1\s*Make the checks\s*after 1 task$/);
  await expect(main.getByRole("region", { name: "Asked for" })).toContainText(title);
  await expectNoViolations(page);

  const sections = page.getByRole("navigation", { name: "Sections" });
  await expect(sections.getByRole("link")).toHaveText([
    "Overview", /^Log \d+$/, "Artifacts 3", "Changes", "Tests", "Plan rev 1", "Cost", "Reviews", "Deployments", "Retrospective",
  ]);
  for (const [tab, words] of [
    ["Tests", "No test has run yet. Only results of real runs are shown here."],
    ["Changes", "sketch.txt"],
    ["Plan", /Revision 1.*Make the second part/s],
    ["Cost", /requests/],
    ["Reviews", "Nothing was asked."],
    ["Deployments", "Not deployed yet."],
    ["Retrospective", "A build leaves a retrospective when it ends, made of measured facts."],
    ["Log", /WARN.*Not run: Builds push nothing/s],
  ] as const) {
    await sections.getByRole("link", { name: new RegExp(`^${tab}`) }).click();
    await expect(sections.getByRole("link", { name: new RegExp(`^${tab}`) })).toHaveAttribute("aria-current", "page");
    await expect(main, tab).toContainText(words);
    // The others are looked at where there is more in them.
    if (["Cost", "Deployments", "Log"].includes(tab)) {
      await expectNoViolations(page);
    }
  }

  await test.step("the changes of one task or phase", async () => {
    await sections.getByRole("link", { name: "Overview" }).click();
    await tasks.getByRole("link", { name: "Make the first part" }).click();
    await expect(page).toHaveURL(/tab=changes&of=task-\d+$/);
    const changed = main.locator(".diff-file > summary");
    await expect(changed).toHaveText([/first\.txt/]);
    const whose = main.getByLabel("Whose changes");
    await expect(whose.locator("option:checked")).toHaveText("Make the first part");
    await expect(main, "a comment stands on all changes").toContainText("Comments are made on all changes.");
    await whose.selectOption("All of Design");
    await expect(changed).toHaveText([/sketch\.txt/]);
    await expectNoViolations(page);
    await page.reload();
    await expect(changed).toHaveText([/sketch\.txt/]);
    await expect(page.locator(".connection")).toContainText("Live");
    await whose.selectOption("The whole build");
    await expect(page).toHaveURL(/tab=changes$/);
    await expect(changed.filter({ hasText: "first.txt" })).toBeVisible();
    await page.goBack();
    await expect(changed).toHaveText([/sketch\.txt/]);
  });

  // A line of the log has an address of its own.
  await sections.getByRole("link", { name: /^Log/ }).click();
  const warning = main.getByRole("region", { name: "Lines of the log" }).getByRole("listitem").filter({ hasText: "Not run" });
  await warning.getByRole("link").click();
  await expect(page).toHaveURL(/#L\d+$/);
  await expect(warning).toHaveClass(/marked/);
  expect((await statusOf(request, intent)).status).toBe("executing");
});

test("a question that somebody asks about files stands on the build's page and is answered in words", async ({ page, request }) => {
  const asked = await request.post(`/api/coding_agent/${intent}/request_review`, {
    data: { review_type: "code_review", question: "Is the first part long enough?", context: "It has three lines.", artifacts: ["first.txt"], options: [] },
  });
  expect(asked.status()).toBe(201);
  await open(page, `/builds/${intent}?tab=reviews`);
  const review = page.getByRole("main").locator(".review-open").filter({ hasText: "Is the first part long enough?" });
  await expect(review).toContainText("It has three lines.");
  await expect(review.getByRole("link", { name: "first.txt" })).toHaveAttribute("href", `/builds/${intent}?tab=artifacts&file=first.txt`);
  await expectNoViolations(page);
  await review.getByLabel("Answer in words").fill("Two more lines, please.");
  await review.getByRole("button", { name: "Answer", exact: true }).click();
  await expect(review).toHaveCount(0);
  await expect(page.getByRole("main").getByRole("listitem").filter({ hasText: "Is the first part long enough?" })).toContainText(
    "Two more lines, please.",
  );
});

test("files and progress come while the dialog is open, and the end too", async ({ page, request }) => {
  const dialog = await view(page);
  const files = dialog.locator(".file-list").getByRole("listitem");
  await expect(files).toHaveCount(3);
  model.letGo("half way");
  await expect(files.filter({ hasText: "second.txt" })).toHaveText(/second\.txt\s*1 line$/);
  await expect(files.filter({ hasText: "second.txt" }).locator(".mark.success")).toBeVisible();
  const fact = dialog.locator("dl.facts > div");
  await expect(fact.filter({ hasText: "Stage" })).toHaveText("StageTesting");
  await expect(fact.filter({ hasText: "Progress" })).toHaveText("Progress70 %");
  model.letGo("Your task is `checks`");
  await expect(fact.filter({ hasText: "Stage" })).toHaveText("StageDocumenting");
  await expect(fact.filter({ hasText: "Progress" })).toHaveText("Progress85 %");
  await expect(files).toHaveCount(4);
  model.letGo("Your task is `guide`");
  await waitForStatus(request, intent, "completed", 30_000);
  await expect(fact.filter({ hasText: "Stage" })).toHaveText("StageCompleted");
  await expect(fact.filter({ hasText: "Progress" })).toHaveText("Progress100 %");
  await expect(dialog.getByRole("button", { name: "Pause" })).toBeDisabled();
  expect(await model.problems(request)).toEqual([]);
});

import { readFile } from "node:fs/promises";

import { type Page } from "@playwright/test";

import { approved, expect, expectNoViolations, open, planned, statusOf, test, toasts, waitForStatus } from "./harness";

const kernelOf = (page: Page, name: string) =>
  page.getByRole("region", { name: "Agentic brain kernels" }).locator("li.kernel").filter({ has: page.getByText(name, { exact: true }) });

/** The word for how a kernel stands. */
const stateOf = (page: Page, name: string) => kernelOf(page, name).locator(".st");

async function fact(page: Page, kernel: string, name: string): Promise<string> {
  const facts = kernelOf(page, kernel).locator("dl > div");
  return (await facts.filter({ has: page.getByText(name, { exact: true }) }).locator("dd").textContent()) ?? "";
}

type Retrospective = {
  intent_id: string;
  retrospective_id: string;
  insights: string[];
  improvements: string[];
  reusable_artifacts: string[];
  metrics: { tests_passed: number; code_quality_score: string; lint_findings: number; files: number; lines: number; efficiency_gain: number };
  phases: { name: string }[];
};

test.afterEach(async ({ request }) => {
  await request.post("/api/htm/resume");
});

test("each kernel says how it stands; what nothing runs behind says so", async ({ page, request }) => {
  await open(page, "/");
  const names = page.getByRole("region", { name: "Agentic brain kernels" }).locator("li.kernel .two .strong");
  await expect(names).toHaveText(["Coding Agent", "Learning Loop", "Intent Engine", "Policy", "Enrichment", "Trust", "Playbook"]);
  for (const absent of ["Enrichment", "Trust"]) {
    await expect(stateOf(page, absent)).toHaveText("Unavailable");
    await expect(kernelOf(page, absent)).toContainText("Nothing runs behind it in this version.");
  }
  await expect(stateOf(page, "Policy")).toHaveText("Active");
  expect(await fact(page, "Policy", "Sandbox probes enforced")).toMatch(/^\d+ of \d+$/);
  for (const name of ["Rules", "Asked", "Allowed", "Refused", "Forbidden"]) {
    expect(await fact(page, "Policy", name), name).toMatch(/^\d+$/);
  }

  // Figures follow what happens.
  const waiting = Number(await fact(page, "Intent Engine", "Plans waiting for approval"));
  const { intent } = await planned(request, "Marlinspike has length and year.");
  await expect.poll(() => fact(page, "Intent Engine", "Plans waiting for approval")).toBe(`${waiting + 1}`);
  await request.post(`/api/coding_agent/${intent}/stop`);
  await expect.poll(() => fact(page, "Intent Engine", "Plans waiting for approval")).toBe(`${waiting}`);
  expect(await fact(page, "Learning Loop", "Templates")).toMatch(/^\d+$/);
  await expect(kernelOf(page, "Learning Loop").getByRole("button", { name: /^(Start|Stop)$/ })).toHaveCount(0);
  await page.getByRole("button", { name: "Console of Learning Loop" }).click();
  await expect(page.locator("li.kernel-open")).toContainText("there is nothing to start or stop");
});

test("the coding agent is stopped and started, its console tells what it does, and a build is stopped from there", async ({ page, request }) => {
  test.setTimeout(90_000);
  await open(page, "/");
  const agent = kernelOf(page, "Coding Agent");
  const state = stateOf(page, "Coding Agent");
  await expect(state).toHaveText(/^(Idle|Active)$/);
  const builds = Number(await fact(page, "Coding Agent", "Active builds"));
  await agent.getByRole("button", { name: "Stop" }).click();
  const yes = page.getByRole("dialog", { name: "Stop Coding Agent?" });
  await expect(yes).toContainText("takes up nothing new until it is started again");
  await yes.getByRole("button", { name: "Stop it" }).click();
  await expect(state).toHaveText("Stopped");
  await expect(toasts(page)).toContainText("Coding Agent is stopped.");

  const toggle = agent.getByRole("button", { name: "Console of Coding Agent" });
  await expect(toggle).toHaveAttribute("aria-expanded", "false");
  await toggle.click();
  await expect(toggle).toHaveAttribute("aria-expanded", "true");
  const pane = page.locator("li.kernel-open");
  const console = pane.getByRole("region", { name: "Console of Coding Agent" });
  await expect(console).toContainText("Nothing since. Its next step appears here.");
  await expect(pane.getByRole("button", { name: "Live" })).toHaveAttribute("aria-pressed", "true");
  await expect(pane).toContainText("0 lines since the console was opened");

  const { intent, title, plan } = await approved(request, "Handspike has length and year.");
  await expect.poll(() => fact(page, "Coding Agent", "Active builds")).toBe(`${builds + 1}`);
  expect((await statusOf(request, intent)).status).toBe("queued");
  await agent.getByRole("button", { name: "Start" }).click();
  await expect(toasts(page)).toContainText(/Coding Agent is (active|idle)\./);
  const first = console.locator("ol.log > li").filter({ hasText: `${plan.phases[0]!.tasks[0]!.title}: done, attempt 1` });
  await expect(first).toContainText(new RegExp(`^\\d\\d:\\d\\d:\\d\\d\\s*INFO\\s*\\[${intent}\\] `));
  await expect(first.getByRole("link", { name: `[${intent}]` })).toHaveAttribute("href", `/builds/${intent}`);
  await expect(pane).toContainText(/[1-9]\d* lines since the console was opened/);
  await expect(state, "while it works").toHaveText("Active");

  await pane.getByRole("combobox", { name: "Builds in the console of Coding Agent" }).selectOption(intent);
  await expect(pane.getByRole("link", { name: "Review code" })).toHaveAttribute("href", `/builds/${intent}?tab=changes`);
  await pane.getByRole("button", { name: "Stop build" }).click();
  const stop = page.getByRole("dialog", { name: `Stop ${title}?` });
  await expect(stop).toContainText("a stopped build cannot be resumed");
  await stop.getByRole("button", { name: "Stop build" }).click();
  await waitForStatus(request, intent, "stopped", 30_000);
  await expect(state, "when nothing is left to do").toHaveText("Idle");
  await expect(pane.getByRole("button", { name: "Stop build" })).toBeDisabled();
  const [file] = await Promise.all([page.waitForEvent("download"), pane.getByRole("button", { name: "Export" }).click()]);
  expect(await readFile(await file.path(), "utf8")).toContain(`[${intent}] ${plan.phases[0]!.tasks[0]!.title}: done, attempt 1`);
  await expectNoViolations(page);

  await test.step("quick actions", async () => {
    const actions = pane.getByRole("group", { name: "Quick actions" });
    await actions.getByRole("button", { name: "New build" }).click();
    await expect(page.getByLabel("What would you like Grace to build?")).toBeFocused();
    await actions.getByRole("link", { name: "View active" }).click();
    await expect(page.getByRole("heading", { name: "Active builds" })).toBeInViewport();
    await expect(actions).toContainText("Quick actions");
    await actions.getByRole("link", { name: "Review" }).click();
    await expect(page.getByRole("heading", { name: "Learning retrospectives" })).toBeInViewport();
    await actions.getByRole("button", { name: "Deploy all" }).click();
    const dialog = page.getByRole("dialog", { name: "Deploy all that is ready" });
    await dialog.getByRole("button", { name: "Not now" }).click();
    await expect(dialog).toBeHidden();
  });
  await toggle.click();
  await expect(console).toHaveCount(0);
});

test("a build that completed leaves its measures in the retrospectives and the kernels, to be applied and used again", async ({ page, request }) => {
  test.setTimeout(300_000);
  await open(page, "/");
  const completed = Number(await fact(page, "Coding Agent", "Completed"));
  const today = Number(await fact(page, "Coding Agent", "Completed today"));
  const taught = Number(await fact(page, "Learning Loop", "Retrospectives"));
  const entries = Number(await fact(page, "Playbook", "Entries"));
  const description = "Halyard has length and colour.";
  const { intent, title } = await approved(request, description);
  // Between two tasks it is idle.
  await expect(async () => {
    await open(page, "/");
    await expect(stateOf(page, "Coding Agent")).toHaveText("Active", { timeout: 250 });
  }).toPass({ timeout: 60_000 });
  const done = await waitForStatus(request, intent, "completed", 250_000);
  const region = page.getByRole("region", { name: "Learning retrospectives" });
  const retro = region.locator("details.retro").filter({ hasText: `Coding build: ${title}` }).first();
  await expect(retro).toBeVisible();
  const { items, total } = (await (await request.get("/api/learning/retrospectives")).json()) as { items: Retrospective[]; total: number };
  await expect(region.locator(".head .count")).toHaveText(`${total}`);
  const kept = items.find((item) => item.intent_id === intent)!;
  const { metrics } = kept;
  await expect.poll(() => fact(page, "Learning Loop", "Retrospectives")).toBe(`${taught + 1}`);

  const head = retro.locator("> summary");
  await expect(head.locator("time")).toHaveText(/^today \d\d:\d\d$/);
  await expect(head).toContainText(/\d[\d.]* (s|min)( \d+ s)? of \d[\d.]* (s|min)( \d+ s)? /);
  const gain = Math.round(metrics.efficiency_gain * 100);
  await expect(head).toContainText(gain > 0 ? `${gain} % faster` : gain < 0 ? `${-gain} % slower` : "as planned");
  const column = (name: string) => retro.locator(".thirds > div").filter({ has: page.getByRole("heading", { name }) }).getByRole("listitem");
  // Only the newest is unfolded at first.
  if ((await retro.getAttribute("open")) === null) await head.click();
  await expect(column("Insights")).toHaveText(kept.insights);
  await expect(column("Improvements")).toHaveText(kept.improvements);
  await expect(column("Reusable artifacts")).toHaveText(kept.reusable_artifacts);
  expect(kept.insights.length * kept.improvements.length * kept.reusable_artifacts.length).toBeGreaterThan(0);
  const measures = retro.locator("dl.measures > div");
  const measured = async (name: string) => measures.filter({ has: page.getByText(name, { exact: true }) }).locator("dd").textContent();
  expect(await measured("Tests")).toBe(`${done.tests?.passed} passed`);
  expect(await measured("Quality")).toBe(metrics.code_quality_score);
  expect(await measured("Lint findings")).toBe(`${metrics.lint_findings}`);
  expect(await measured("Files")).toBe(`${metrics.files}, ${metrics.lines} lines`);
  expect(await measured("Retries")).toBe("0");
  expect(await measured("Questions asked")).toBe("0");
  // It has no tests that could cover anything.
  await expect(measures.filter({ hasText: "Coverage" })).toHaveCount(0);
  await retro.getByText("Planned and actual per phase").click();
  await expect(retro.getByRole("rowheader")).toHaveText(kept.phases.map((phase) => phase.name));
  await expectNoViolations(page);

  await retro.getByRole("button", { name: "Apply learnings" }).click();
  const applied = toasts(page).getByText(/^\d+ insights? (is|are) in the playbook; later plans cite (it|them)\.$/);
  await expect(applied).toBeVisible();
  const added = parseInt(await applied.innerText(), 10);
  expect(added).toBeGreaterThan(0);
  await retro.getByRole("button", { name: "Apply learnings" }).click();
  await expect(toasts(page)).toContainText("Nothing new to apply");
  await retro.getByRole("button", { name: "Reuse template" }).click();
  await expect(page.getByLabel("What would you like Grace to build?")).toHaveValue(description);
  await expect(page.getByLabel("Target domain")).toHaveValue("api");
  await expect(page.getByLabel("What would you like Grace to build?")).toBeFocused();

  await open(page, "/");
  expect(Number(await fact(page, "Coding Agent", "Completed"))).toBe(completed + 1);
  expect(Number(await fact(page, "Coding Agent", "Completed today"))).toBe(today + 1);
  expect(await fact(page, "Coding Agent", "Success rate")).toMatch(/^\d+ %$/);
  expect(await fact(page, "Coding Agent", "Average duration")).toMatch(/^\d[\d.]* (s|min|h)/);
  expect(Number(await fact(page, "Playbook", "Entries"))).toBe(entries + added);
  expect(Number(await fact(page, "Learning Loop", "Playbook entries"))).toBe(entries + added);
  if ((await retro.getAttribute("open")) === null) await head.click();
  await retro.getByRole("link", { name: "View code" }).click();
  await expect(page).toHaveURL(`/builds/${intent}?tab=artifacts`);
  await expect(page.getByRole("main")).toContainText("README.md");
  await page.getByRole("navigation", { name: "Sections" }).getByRole("link", { name: "Retrospective" }).click();
  await expect(page.getByRole("main")).toContainText(`Coding build: ${title}`);
  await expect(page.getByRole("main")).toContainText(kept.insights[0]!);
});

import { type Page } from "@playwright/test";

import { approved, expect, expectNoViolations, open, planned, small, statusOf, test, toasts, waitForStatus } from "./harness";

/** A figure of the queue, as a number. */
async function figure(page: Page, name: string): Promise<number> {
  const tiles = page.getByRole("region", { name: "Queue" }).locator("dl > div");
  return Number(await tiles.filter({ has: page.getByText(name, { exact: true }) }).locator("dd").textContent());
}

const groupOf = (page: Page, intent: string) => page.locator("details.group").filter({ hasText: intent });

test.afterEach(async ({ request }) => {
  await request.post("/api/htm/resume");
});

test("a paused queue holds what is approved, shows it as ready, and builds it once it is resumed", async ({ page, request }) => {
  test.setTimeout(120_000);
  await open(page, "/tasks");
  await expect(page.getByRole("heading", { name: "Hierarchical task manager" })).toBeVisible();
  const queue = page.getByRole("region", { name: "Queue" });
  await expect(queue).toContainText("Open");
  expect(await figure(page, "Workers")).toBeGreaterThan(0);
  await queue.getByRole("button", { name: "Pause queue" }).click();
  const yes = page.getByRole("dialog", { name: "Pause the queue?" });
  await expect(yes).toContainText("No task of any build begins until it is resumed");
  await expectNoViolations(page);
  await yes.getByRole("button", { name: "Keep it" }).click();
  await expect(yes).toBeHidden();
  await expect(queue).toContainText("Open");
  await queue.getByRole("button", { name: "Pause queue" }).click();
  await yes.getByRole("button", { name: "Pause queue" }).click();
  await expect(queue).toContainText("Paused");
  await expect(toasts(page)).toContainText("The queue is paused");

  const [ready, waiting] = [await figure(page, "Ready"), await figure(page, "Waiting")];
  const constraints = { ...small.constraints, deadline: `${new Date().getUTCFullYear() + 1}-11-20` };
  const held = await approved(request, "Capstan has height and year.", { ...small, constraints });
  const tasks = held.plan.phases.flatMap((phase) => phase.tasks).length;
  await expect.poll(() => figure(page, "Ready")).toBe(ready + 1);
  await expect.poll(() => figure(page, "Waiting")).toBe(waiting + tasks - 1);
  const kept = (await (await request.get("/api/htm/queue")).json()) as { sla_at_risk: number; retries: number };
  expect([await figure(page, "SLA at risk"), await figure(page, "Retries")]).toEqual([kept.sla_at_risk, kept.retries]);

  // Build, phases and tasks fold each.
  const group = groupOf(page, held.intent);
  await expect(group).toContainText(held.title);
  await expect(group.locator("> summary")).toContainText(`0 of ${tasks} done`);
  if ((await group.getAttribute("open")) === null) await group.locator("> summary").click();
  await expect(group.locator("details.phase-group > summary .clip")).toHaveText(held.plan.phases.map((phase) => phase.name));
  const first = group.locator("details.phase-group").first();
  const row = first.locator(".task-rows > li").filter({ hasText: held.plan.phases[0]!.tasks[0]!.title });
  await expect(row).toContainText("Ready");
  await expect(row).toContainText(/waited .*due by /);
  await first.locator("> summary").click();
  await expect(row).toBeHidden();
  await first.locator("> summary").click();
  await expect(row).toBeVisible();
  await expectNoViolations(page);

  await test.step("only tasks in one state", async () => {
    const show = page.getByRole("group", { name: "Show" });
    await show.getByRole("button", { name: "Ready" }).click();
    await expect(show.getByRole("button", { name: "Ready" })).toHaveAttribute("aria-pressed", "true");
    await expect(group.locator(".task-rows > li")).toHaveText(/Ready/);
    await show.getByRole("button", { name: "Running" }).click();
    await expect(group).toHaveCount(0);
    await show.getByRole("button", { name: "Failed" }).click();
    await expect(group).toHaveCount(0);
    await show.getByRole("button", { name: "All" }).click();
    await expect(group).toHaveCount(1);
  });

  await test.step("the priority of a build and of a plan", async () => {
    const plan = await planned(request, "Windlass has height and year.");
    for (const { intent, title } of [held, plan]) {
      const picker = page.getByRole("combobox", { name: `Priority of ${title}` });
      await expect(picker.locator("option")).toHaveText(["Low", "Normal", "High", "Critical"]);
      await expect(picker).toHaveValue("normal");
      await picker.selectOption("Critical");
      await expect.poll(async () => (await (await request.get(`/api/coding_agent/status/${intent}`)).json()).priority).toBe("critical");
      await expect(page.getByRole("combobox", { name: `Priority of ${title}` })).toHaveValue("critical");
    }
    await request.post(`/api/coding_agent/${plan.intent}/stop`);
  });
  expect((await statusOf(request, held.intent)).status).toBe("queued");

  await queue.getByRole("button", { name: "Resume queue" }).click();
  await expect(toasts(page)).toContainText("The queue runs again.");
  await expect(queue).toContainText("Open");
  await expect.poll(() => figure(page, "Running")).toBeGreaterThan(0);
  // As many as it has without anything from outside.
  const done = async () => (await statusOf(request, held.intent)).tasks.filter((task) => task.state === "done").length;
  await expect.poll(done, { timeout: 60_000 }).toBeGreaterThan(3);
  await request.post(`/api/coding_agent/${held.intent}/stop`);
  await waitForStatus(request, held.intent, "stopped", 30_000);
  // What runs when it is stopped ends a little later.
  const over = async () => (await statusOf(request, held.intent)).tasks.every((task) => ["done", "cancelled", "failed"].includes(task.state));
  await expect.poll(over).toBe(true);

  // Who ran what when, drawn and in words.
  const ended = (await (await request.get(`/api/coding_agent/status/${held.intent}`)).json()) as { tasks: { started_at: string | null }[] };
  const began = ended.tasks.filter((task) => task.started_at).length;
  await expect(group.locator("> summary")).toContainText(`${await done()} of ${tasks} done, ${tasks - (await done())} cancelled`);
  const lanes = group.getByRole("list", { name: "Who ran what when" }).getByRole("img");
  await expect(lanes.first()).toHaveAttribute("aria-label", /ran \d+ tasks?; the list has their times$/);
  const counts = await lanes.evaluateAll((all) => all.map((lane) => Number(/ran (\d+)/.exec(lane.getAttribute("aria-label") ?? "")?.[1])));
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(began);
  await expect(lanes.first().locator("rect title").first()).toHaveText(`${held.plan.phases[0]!.tasks[0]!.title}: Done`);
  if (!(await row.isVisible())) await first.locator("> summary").click();
  await expect(row).toContainText("Done");
  await expect(row).toContainText(/began \d\d:\d\d:\d\d.*waited .*on /);
  await expectNoViolations(page);
});

test("a question of a build is counted as one that needs a person, until the build is stopped", async ({ page, request }) => {
  await open(page, "/tasks");
  const before = await figure(page, "Need you");
  const { intent, title } = await approved(request, "Davit has height and year. Users sign in.");
  await expect.poll(() => figure(page, "Need you")).toBe(before + 1);
  const group = groupOf(page, intent);
  await expect(group.locator("> summary")).toContainText("1 waiting for you");
  await expect(group.locator(".task-rows > li").filter({ hasText: "Ask how people sign in" })).toBeVisible();
  const { intent: other, title: name } = await approved(request, "Fairlead has height and year. Users sign in.");
  await expect(groupOf(page, other).locator("> summary")).toContainText(name);
  await request.post(`/api/coding_agent/${other}/stop`);
  await expect(groupOf(page, other)).toContainText("cancelled");
  await expect(groupOf(page, other).locator("> summary"), "it keeps its title").toContainText(name);
  await group.getByRole("link", { name: "Open the build’s page" }).click();
  await expect(page).toHaveURL(`/builds/${intent}`);
  await expect(page.getByRole("heading", { name: title, level: 1 })).toBeVisible();
  await request.post(`/api/coding_agent/${intent}/stop`);
  await page.goBack();
  await expect.poll(() => figure(page, "Need you")).toBe(before);
  await expect(groupOf(page, intent)).toContainText("cancelled");
});

test("of many tasks the newest builds are read, and older ones when asked for", async ({ page, request }) => {
  await request.post("/api/htm/pause");
  const made = [];
  const total = async () => ((await (await request.get("/api/htm/tasks?limit=1")).json()) as { total: number }).total;
  // A page holds 200.
  do {
    made.push(await approved(request, "Bollard has height and year.", {}));
  } while ((await total()) <= 200);
  const oldest = made[0]!;
  await open(page, "/tasks");
  const tasks = page.getByRole("region", { name: "Tasks", exact: true });
  await expect(tasks.locator(".count").first()).toHaveText(new RegExp(`^\\d+ of ${await total()}, the newest builds$`));
  await expect(groupOf(page, made.at(-1)!.intent)).toHaveCount(1);
  const before = await page.locator("details.group").count();
  await tasks.getByRole("button", { name: "Show older builds" }).click();
  await expect.poll(() => page.locator("details.group").count()).toBeGreaterThan(before);
  await expect(groupOf(page, oldest.intent)).toHaveCount(1);
  for (const { intent } of made) {
    expect((await request.post(`/api/coding_agent/${intent}/stop`)).status()).toBe(200);
  }
});

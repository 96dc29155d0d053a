import { type APIRequestContext, type Page } from "@playwright/test";

import { approved, expect, expectNoViolations, messagesOf, open, statusOf, test, toasts, waitForStatus, type Planned } from "./harness";

const request = {
  target_domain: "api",
  constraints: { stack: "fastapi", environments: ["development", "staging", "production"] },
};
let built: Planned;

type Deployment = {
  deployment_id: string;
  environment: string;
  status: string;
  url: string | null;
  release: string | null;
  reason: string | null;
  promoted_from: string | null;
  current: boolean;
  config: { docker_build: boolean; run_tests: boolean; auto_rollback: boolean };
  steps: { name: string; state: string; detail: string }[];
};

/** The newest deployment of what was built. */
async function newest(api: APIRequestContext): Promise<Deployment> {
  const { items } = (await (await api.get("/api/deployments")).json()) as { items: (Deployment & { intent_id: string })[] };
  const found = items.find((deployment) => deployment.intent_id === built.intent);
  if (!found) throw new Error("nothing of it was deployed");
  return found;
}

async function playbookEntries(api: APIRequestContext): Promise<number> {
  const { items } = (await (await api.get("/api/kernels")).json()) as { items: { key: string; facts: { name: string; value: string }[] }[] };
  return Number(items.find((kernel) => kernel.key === "playbook")?.facts.find((fact) => fact.name === "Entries")?.value);
}

async function deployDialog(page: Page) {
  await open(page, `/builds/${built.intent}?tab=deployments`);
  await page.getByRole("region", { name: "Build" }).getByRole("button", { name: "Deploy", exact: true }).click();
  return page.getByRole("dialog", { name: `Deploy ${built.title}` });
}

const panelOf = (page: Page, id: string) => page.locator(`#${id}`);
const environment = (page: Page, name: string) =>
  page.getByRole("region", { name: "Environments" }).getByRole("row").filter({ has: page.getByRole("rowheader", { name: new RegExp(`^${name}`) }) });
const percent = (share: number) => `${Math.round(share * 10) / 10} %`;

test.describe.configure({ mode: "serial" });

test("what was built is told of with what was counted, and what it taught with what was measured", async ({ page, request: api }) => {
  test.setTimeout(240_000);
  await open(page, "/analytics");
  built = await approved(api, "Anchor has weight and colour.", request);
  const done = await waitForStatus(api, built.intent, "completed", 200_000);
  const counted = (type: string) => {
    const files = done.artifacts_generated.filter((file) => file.type === type);
    const lines = files.reduce((sum, file) => sum + file.lines, 0).toLocaleString("en-US");
    return `${files.length} file${files.length === 1 ? "" : "s"}, ${lines} lines`;
  };
  const message = messagesOf(page, `${built.title} build complete`);
  await expect(message).toContainText("Ready to deploy?");
  const fact = (name: string) => message.locator("dl.facts > div").filter({ has: page.getByText(name, { exact: true }) }).locator("dd");
  await expect(fact("Code")).toHaveText(counted("code"));
  await expect(fact("Test code")).toHaveText(counted("test"));
  await expect(fact("Documents")).toHaveText(counted("doc"));
  await expect(fact("Configuration")).toHaveText(counted("config"));
  await expect(message).toContainText("Made and measured");
  await expect(fact("Tests")).toHaveText(`${done.tests?.passed} passed`);
  await expect(fact("Coverage")).toHaveText(percent(done.tests?.coverage_percent ?? 0));
  const [report] = await Promise.all([page.waitForEvent("popup"), message.getByRole("link", { name: "View report" }).click()]);
  await report.waitForURL(`**/api/coding_agent/${built.intent}/report`);
  await expect(report.locator("body")).toContainText(built.title);
  await report.close();
  await message.getByRole("link", { name: "Review code" }).click();
  await expect(page).toHaveURL(`/builds/${built.intent}?tab=artifacts`);
  await expect(page.getByRole("main")).toContainText("README.md");

  const { items } = (await (await api.get("/api/learning/retrospectives")).json()) as {
    items: { intent_id: string; insights: string[]; metrics: { test_coverage: number; code_quality_score: string; lint_findings: number } }[];
  };
  const { insights, metrics } = items.find((kept) => kept.intent_id === built.intent)!;
  const lesson = messagesOf(page, `Learned from ${built.title}`);
  await expect(lesson).toContainText(/Time\s*[\d.]+ (s|min)( \d+ s)? of [\d.]+ (s|min)( \d+ s)? planned, (\d+ % (faster|slower)|as planned)/);
  await expect(lesson).toContainText("Retrospective");
  await expect(lesson).toContainText("Lessons learned");
  await expect(lesson).toContainText(`${percent(metrics.test_coverage * 100)}, target 80 %`);
  await expect(lesson).toContainText(`${metrics.code_quality_score}, ${metrics.lint_findings} findings`);
  for (const insight of insights.slice(0, 3)) {
    await expect(lesson).toContainText(insight);
  }
  await expectNoViolations(page);
  // What the playbook has already is not added.
  const before = await playbookEntries(api);
  await lesson.getByRole("button", { name: "Apply learnings" }).click();
  const added = toasts(page).getByText(/^\d+ lessons? (was|were) added to the playbook\.$/);
  await expect(added).toBeVisible();
  const count = parseInt(await added.innerText(), 10);
  expect(count).toBeGreaterThan(0);
  expect(await playbookEntries(api)).toBe(before + count);
  await lesson.getByRole("link", { name: "View full retro" }).click();
  await expect(page).toHaveURL(`/builds/${built.intent}?tab=retrospective`);
  await expect(page.getByRole("main")).toContainText(insights[0]!);
  const retro = page.getByRole("main");
  const send = retro.getByRole("button", { name: "Send feedback" });
  await expect(send, "an answer is chosen first").toBeDisabled();
  await retro.getByRole("button", { name: "Not quite" }).click();
  await retro.getByLabel("What should later builds know?").fill("Anchors have a chain as well.");
  await send.click();
  await expect(retro).toContainText("It is not quite what was wanted: Anchors have a chain as well.");
  await expectNoViolations(page);
  await retro.getByRole("button", { name: "Change" }).click();
  await retro.getByRole("button", { name: "Yes", exact: true }).click();
  await send.click();
  await expect(retro).toContainText("It is what was wanted: Anchors have a chain as well.");
  await retro.getByRole("button", { name: "Apply learnings" }).click();
  await expect(toasts(page)).toContainText("1 insight is in the playbook; later plans cite it.");
  await lesson.getByRole("link", { name: "Start new build" }).click();
  await expect(page).toHaveURL(/\/#new$/);
  await expect(page.getByLabel("What would you like Grace to build?")).toBeInViewport();
});

test("a deployment is chosen in the dialog, followed through its steps, and cancelled from the co-pilot", async ({ page, request: api }) => {
  test.setTimeout(90_000);
  const dialog = await deployDialog(page);
  const box = (name: string) => dialog.getByRole("checkbox", { name });
  await expect(dialog.getByRole("radio")).toHaveCount(3);
  await expect(dialog.getByRole("radio", { name: "Staging" })).toBeChecked();
  await expect(box("Run the project's tests on the release first")).toBeChecked();
  await expect(box("Roll back by itself when it turns unhealthy")).toBeChecked();
  await expect(box("Build a container image and run that")).not.toBeChecked();
  await expectNoViolations(page);
  await dialog.getByRole("button", { name: "Deploy to staging" }).click();
  await expect(toasts(page)).toContainText("Deployment handed off to Layer 4 Deployment Service");
  await expect(dialog).toBeHidden();
  const { deployment_id: id, config } = await newest(api);
  expect(config).toEqual({ docker_build: false, run_tests: true, auto_rollback: true });

  const message = messagesOf(page, `Deploying ${built.title} to staging`);
  await expect(message).toContainText(/Handed to Layer 4\. Step 1 of 6: package\. Track progress in Layer 4 or wait here\./);
  await expect(page.getByRole("region", { name: "Build" })).toContainText("Deploying");
  await message.getByRole("link", { name: "Go to Layer 4" }).click();
  await expect(page).toHaveURL(`/operations#${id}`);
  const panel = panelOf(page, id);
  await expect(panel.locator("ol.steps > li")).toHaveText([/^Package/, /^Test/, /^Start/, /^Health check/, /^Switch/, /^Watch/]);
  await expect(panel.locator("ol.steps > li").first()).toContainText(/\d s$/);
  await message.getByRole("link", { name: "Monitor here" }).click();
  await expect(page).toHaveURL(`/builds/${built.intent}?tab=deployments`);

  await test.step("the table and the detail dialog say that it is deployed now", async () => {
    await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Builder" }).click();
    const row = page.getByRole("region", { name: "Active builds" }).getByRole("row", { name: built.title });
    await expect(row).toContainText("Deploying");
    await row.getByRole("link", { name: "View" }).click();
    const detail = page.getByRole("dialog");
    await expect(detail.locator(".line").first()).toContainText("Deploying");
    await detail.getByRole("button", { name: "Close" }).click();
  });
  await test.step("it is a task of Layer 2", async () => {
    await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Tasks" }).click();
    const group = page.locator("details.group").filter({ hasText: built.intent });
    const phase = group.locator("details.phase-group").filter({ hasText: "Layer 4" });
    await expect(phase.locator(".task-rows > li").filter({ hasText: "Deploy to staging" })).toContainText("Running");
  });
  await message.getByRole("button", { name: "Cancel deploy" }).click();
  await expect(toasts(page)).toContainText(`${id} is being cancelled.`);
  const cancelled = messagesOf(page, `Deploying ${built.title} to staging was cancelled`);
  await expect(cancelled).toBeVisible();
  await expect(cancelled.getByRole("button", { name: "Cancel deploy" })).toHaveCount(0);
  await cancelled.getByRole("link", { name: "Go to Layer 4" }).click();
  await expect(panel).toContainText("Cancelled");
  const { reason, status } = await newest(api);
  expect(status).toBe("cancelled");
  expect(reason).toBeTruthy();
  await expect(panel).toContainText(reason!);
  await expect(panel.getByRole("button", { name: "Roll back" })).toBeDisabled();
});

test("production asks a person first, who declines or approves; a deployment is cancelled where it is shown", async ({ page, request: api }) => {
  const gate = messagesOf(page, `${built.title}: approve the deployment`);
  for (const answer of ["Decline", "Approve"] as const) {
    await test.step(answer, async () => {
      const dialog = await deployDialog(page);
      await dialog.getByRole("radio", { name: "Production" }).check();
      await dialog.getByRole("checkbox", { name: "Run the project's tests on the release first" }).uncheck();
      await dialog.getByRole("checkbox", { name: "Roll back by itself when it turns unhealthy" }).uncheck();
      await dialog.getByRole("button", { name: "Deploy to production" }).click();
      await expect(toasts(page)).toContainText(/approve/i);
      const { deployment_id: id, config, steps } = await newest(api);
      expect(config).toEqual({ docker_build: false, run_tests: false, auto_rollback: false });
      expect(steps.filter((step) => step.state !== "pending")).toEqual([]);
      await expect(gate.getByRole("button", { name: /Let Grace decide/ })).toHaveCount(0);
      await gate.getByRole("button", { name: new RegExp(`^\\d\\s*${answer}`) }).click();
      await expect(gate).toHaveCount(0);
      const panel = panelOf(page, id);
      if (answer === "Decline") {
        await expect(panel).toContainText("Declined at its gate.");
      } else {
        await expect(messagesOf(page, `Deploying ${built.title} to production`)).toContainText("Handed to Layer 4.");
        await panel.getByRole("button", { name: "Cancel deploy" }).click();
      }
      await expect(panel).toContainText("Cancelled");
      expect((await newest(api)).status).toBe("cancelled");
    });
  }
});

test("a release goes live after its tests, is opened from everywhere that names it, and is rolled back", async ({ page, request: api }) => {
  test.setTimeout(600_000);
  await open(page, `/builds/${built.intent}?tab=deployments`);
  await messagesOf(page, `${built.title} build complete`).getByRole("button", { name: "Deploy to staging" }).click();
  await expect(messagesOf(page, new RegExp(`^Deploying ${built.title} to staging$`))).toContainText("Handed to Layer 4.");
  const { deployment_id: id } = await newest(api);
  const panel = panelOf(page, id);
  const step = (name: string) => panel.locator("ol.steps > li").filter({ hasText: name });
  const live = messagesOf(page, `${built.title} is live on staging`);
  // All of it without a reload.
  await expect(messagesOf(page, `Deploying ${built.title} to staging`)).toContainText("Step 2 of 6: test.", { timeout: 120_000 });
  await expect(step("Package")).toContainText(/release r\d+-[0-9a-f]{7}\d[\d.]* (s|min)/);
  await expect(live).toBeVisible({ timeout: 280_000 });
  const { url, release, current } = await newest(api);
  expect(current).toBe(true);
  await expect(live).toContainText(url!);
  await expect(live.getByRole("link", { name: "Open the app" })).toHaveAttribute("href", url!);
  await expect(panel).toContainText("Live");
  await expect(step("Test")).toContainText(/test\.sh passed\d[\d.]* (s|min)/);
  await expect(step("Health check")).toContainText("200 in");
  await expect(step("Switch")).toContainText(`now leads to ${release}`);
  await expect(step("Watch")).toContainText("healthy for 10 s");
  expect((await statusOf(api, built.intent)).status).toBe("deployed");
  await expect(page.getByRole("region", { name: "Build" })).toContainText("Deployed");
  await expectNoViolations(page);

  await open(page, "/");
  const project = page.getByRole("region", { name: "Completed projects" }).getByRole("row").filter({ hasText: built.intent });
  await expect(project).toContainText("Deployed");
  await expect(project.getByRole("link", { name: "Open" })).toHaveAttribute("href", url!);

  await open(page, "/operations");
  for (const name of ["Development", "Staging", "Production"]) {
    await expect(environment(page, name).first()).toBeVisible();
  }
  const row = environment(page, "Staging").filter({ hasText: built.title });
  await expect(row).toContainText(release!);
  await expect(row).toContainText("Live");
  const targets = page.getByRole("region", { name: "Targets" }).getByRole("listitem");
  await expect(targets.filter({ hasText: "local" }).first()).toContainText("Available");
  await expect(panel.getByRole("link", { name: "Open" })).toHaveAttribute("href", url!);
  await panel.getByRole("link", { name: "Output" }).click();
  const output = page.getByRole("region", { name: "Lines of the service" });
  await expect(output).toContainText("Application startup complete.");
  await expect(page.getByRole("combobox", { name: "Service" })).toHaveValue(`${built.intent}.staging`);
  await page.getByRole("searchbox", { name: "Words in a line" }).fill("no such words");
  await page.getByRole("button", { name: "Show" }).click();
  await expect(output).toContainText("None of its lines that are kept has these words.");
  await expectNoViolations(page);
  const [app] = await Promise.all([page.waitForEvent("popup"), row.getByRole("link", { name: new URL(url!).host }).click()]);
  await app.waitForURL((address) => address.host === new URL(url!).host);
  const answer = async () => (await app.goto(`${url}/api/health`))?.status();
  expect(await answer()).toBe(200);

  await expect(row.getByRole("button", { name: "Roll back" })).toBeDisabled();

  // Once another release has replaced it there is one to go back to.
  const config = { docker_build: false, run_tests: false, auto_rollback: true };
  const data = { target_environment: "staging", deployment_config: config };
  expect((await api.post(`/api/coding_agent/${built.intent}/deploy`, { data })).ok()).toBe(true);
  await expect(row).toContainText("Replacing");
  await expect(row.getByRole("button", { name: "Roll back" })).toBeDisabled();
  await expect.poll(async () => (await newest(api)).status, { timeout: 240_000 }).toBe("live");
  const second = await newest(api);
  await expect(row).toContainText(second.release!);
  await expect(panel.getByRole("button", { name: "Roll back" })).toBeDisabled();
  await row.getByRole("button", { name: "Roll back" }).click();
  const yes = page.getByRole("dialog", { name: "Roll back staging?" });
  await expect(yes).toContainText(`Traffic of staging goes back from ${second.deployment_id} to release ${release}.`);
  await expectNoViolations(page);
  await yes.getByRole("button", { name: "Keep it" }).click();
  await expect(yes).toBeHidden();
  expect((await newest(api)).status).toBe("live");
  await row.getByRole("button", { name: "Roll back" }).click();
  await yes.getByRole("button", { name: "Roll back" }).click();
  const back = messagesOf(page, `${built.title} on staging was rolled back`);
  await expect(back).toContainText(`Rolled back by a person to ${release}`, { timeout: 120_000 });
  await expect(panelOf(page, second.deployment_id)).toContainText("Rolled back");
  await expect(row).toContainText(release!);
  expect((await newest(api)).status).toBe("rolled_back");
  expect(await answer()).toBe(200);
});

test("what is live in staging is promoted to production as it is, after a person's yes", async ({ page, request: api }) => {
  test.setTimeout(150_000);
  await open(page, "/operations");
  const staging = environment(page, "Staging").filter({ hasText: built.title });
  await staging.getByRole("button", { name: "Promote to production" }).click();
  await expect(toasts(page)).toContainText("A person must approve this deployment first");
  const asked = await newest(api);
  expect([asked.environment, asked.status]).toEqual(["production", "initiated"]);
  expect(asked.promoted_from).toBeTruthy();
  await messagesOf(page, `${built.title}: approve the deployment`)
    .getByRole("button", { name: /^\d\s*Approve/ })
    .click();
  const panel = panelOf(page, asked.deployment_id);
  await expect(messagesOf(page, `${built.title} is live on production`)).toBeVisible({ timeout: 120_000 });
  const step = (name: string) => panel.locator("ol.steps > li").filter({ hasText: name });
  await expect(step("Package")).toContainText(/r\d+-[0-9a-f]{7} of staging as it is, sha256:[0-9a-f]{12}/);
  await expect(step("Test")).toContainText("deployed to staging first");
  await expect(panel).toContainText(`promoted from ${asked.promoted_from}`);
  const production = environment(page, "Production").filter({ hasText: built.title });
  await expect(production).toContainText("Live");
  await expect(staging).toContainText("Live");
  await expect(production.getByRole("button", { name: "Promote to production" })).toHaveCount(0);
  await expectNoViolations(page);
  const { url } = await newest(api);
  expect((await page.goto(`${url}/api/health`))?.status()).toBe(200);
});

test("a container is offered where there is an engine for it; where there is none, it is said why everywhere and nothing is begun", async ({ page, request: api }) => {
  test.setTimeout(300_000);
  const { targets } = (await (await api.get("/readyz")).json()) as { targets: { name: string; available: boolean; detail: string }[] };
  const docker = targets.find((target) => target.name === "docker")!;
  await open(page, "/operations");
  const row = page.getByRole("region", { name: "Targets" }).getByRole("listitem").filter({ hasText: "docker" }).first();
  await expect(row).toHaveText(`docker ${docker.detail}${docker.available ? "Available" : "Unavailable"}`);

  const dialog = await deployDialog(page);
  const image = dialog.getByRole("checkbox", { name: "Build a container image and run that" });
  await expect(dialog.locator("label").filter({ hasText: "Build a container image and run that" })).toContainText(docker.detail);
  await expectNoViolations(page);
  const before = await newest(api);
  if (!docker.available) {
    expect(docker.detail).toMatch(/^No container engine: there is no socket at \S+\. Start Docker or Podman.+--docker-socket\.$/);
    await expect(image).toBeDisabled();
    const data = { target_environment: "development", deployment_config: { docker_build: true } };
    const refused = await api.post(`/api/coding_agent/${built.intent}/deploy`, { data });
    const problem = (await refused.json()) as { code: string; detail: string; errors: { field: string; message: string }[] };
    expect(refused.status()).toBe(409);
    expect(problem).toMatchObject({
      code: "target_unavailable",
      detail: `No image can be made: ${docker.detail}`,
      errors: [{ field: "deployment_config.docker_build", message: docker.detail }],
    });
    expect((await newest(api)).deployment_id).toBe(before.deployment_id);
    return;
  }
  await image.check();
  await dialog.getByRole("radio", { name: "Development" }).check();
  await dialog.getByRole("button", { name: "Deploy to development" }).click();
  await expect(messagesOf(page, `${built.title} is live on development`)).toBeVisible({ timeout: 240_000 });
  const { deployment_id: id, url } = await newest(api);
  const panel = panelOf(page, id);
  const step = (name: string) => panel.locator("ol.steps > li").filter({ hasText: name });
  await expect(panel).toContainText("in a container");
  await expect(step("Package")).toContainText(/image grace\/\S+:r\d+-[0-9a-f]{7}, sha256:[0-9a-f]{12}/);
  await expect(step("Test")).toContainText("its tests passed in a container without network");
  await expect(step("Start")).toContainText("its container started");
  await expectNoViolations(page);
  expect((await page.goto(`${url}/api/health`))?.status()).toBe(200);
});

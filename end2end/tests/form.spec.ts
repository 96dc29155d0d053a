import { type Locator, type Page } from "@playwright/test";

import { chatDescription, expect, expectNoViolations, intentOf, open, test, waitForStatus } from "./harness";
import { asking, begins, finish, plans, ScriptedModel, task, write } from "./scripted";

const question = "What would you like Grace to build?";
const year = new Date().getUTCFullYear() + 1;
const day = `${year}-11-20`;

type Request = {
  project_type: string;
  target_domain: string;
  constraints: { deadline: string | null; environments: string[]; compliance: string[]; stack: string };
  artifacts: { repository: string | null; datasets: string[]; docs: string[] };
  options: Record<string, boolean>;
};

const builder = (page: Page): Locator => page.getByRole("form", { name: "New build" });
const preview = (page: Page): Locator => page.getByRole("region", { name: "Plan preview" });
const fold = (page: Page, title: string): Locator => builder(page).locator("details.fold").filter({ has: page.locator("summary", { hasText: title }) });

test("without a model, what needs one is grey with the reason, and the rest can be chosen", async ({ page }) => {
  await open(page, "/");
  const form = builder(page);
  const types = form.getByRole("group", { name: "Project type" });
  for (const name of ["Test suite", "Research", "Website", "Blockchain"]) {
    const choice = types.getByRole("radio", { name: new RegExp(`^${name}.*needs a model`) });
    await expect(choice).toBeDisabled();
    await expect(types.locator("label", { hasText: name })).toHaveAttribute("title", /^Needs a model: .* “.*” is not built yet, only /);
  }
  await expect(types).toContainText("The types in grey need a model, and there is none.");
  await expect(types.getByTitle("Without a model Grace can build: Feature, Infrastructure, API integration and Custom.")).toBeVisible();

  await expect(types.getByRole("radio", { name: "Feature" })).toBeChecked();
  await types.getByText("API integration").click();
  await expect(types.getByRole("radio", { name: "API integration" })).toBeChecked();
  await expect(types.getByRole("radio", { name: "Feature" })).not.toBeChecked();
  await types.getByText("Infrastructure").click();
  await expect(form.getByLabel("Target domain"), "what is usual for the type comes with it").toHaveValue("infrastructure");
  await expect(form.getByLabel("Stack")).toHaveValue("terraform");
  await types.getByText("API integration").click();
  await types.getByRole("radio", { name: "API integration" }).press("ArrowRight");
  await expect(types.getByRole("radio", { name: "Custom" }), "by the keyboard too").toBeChecked();

  const domain = form.getByLabel("Target domain");
  await expect(domain).toHaveValue("full_stack_web");
  await expect(form.getByLabel("Stack")).toHaveValue("react_fastapi");
  for (const [list, names] of [
    [domain, ["Research", "Blockchain", "CLI tool", "Library", "Documentation"]],
    [form.getByLabel("Stack"), ["React + Node", "SvelteKit", "Rust + Axum", "Solidity + Ethers.js + React", "As described"]],
  ] as const) {
    for (const name of names) {
      await expect(list.getByRole("option", { name: `${name} (needs a model)`, exact: true })).toBeDisabled();
    }
  }
});

test("what is chosen in every part of the form stands on the part's line and goes into the request", async ({ page, request }) => {
  await open(page, "/");
  const form = builder(page);
  const description = `Cabinet has name and height. ${Date.now()} is only a number.`;
  await form.getByLabel(question).fill(description);
  await form.getByText("Custom", { exact: true }).click();
  await form.getByLabel("Target domain").selectOption({ label: "API" });
  await form.getByLabel("Stack").selectOption({ label: "FastAPI only" });

  await test.step("Constraints", async () => {
    const part = fold(page, "Constraints");
    const line = part.locator("summary");
    await expect(line).toContainText("No deadline, development and staging, no compliance rules");
    await expect(part.getByLabel("Deadline", { exact: true })).toBeHidden();
    await line.click();
    await expect(part.getByLabel("No deadline")).toBeChecked();
    await part.getByLabel("No deadline").uncheck();
    await expect(part.getByLabel("Deadline", { exact: true }), "a week from now is offered").not.toHaveValue("");
    await part.getByLabel("No deadline").check();
    await expect(part.getByLabel("Deadline", { exact: true })).toHaveValue("");
    await part.getByLabel("Deadline", { exact: true }).fill(day);
    await expect(part.getByLabel("No deadline")).not.toBeChecked();
    await expect(line).toContainText(`By 20 Nov ${year}, development and staging, no compliance rules`);

    const environments = part.getByRole("group", { name: "Environment" });
    await expect(environments.getByLabel("Development")).toBeChecked();
    await expect(environments.getByLabel("Staging")).toBeChecked();
    await expect(environments.getByLabel("Production")).not.toBeChecked();
    await environments.getByLabel("Production").check();
    await expect(line).toContainText("3 environments");
    await environments.getByLabel("Development").uncheck();
    await environments.getByLabel("Staging").uncheck();
    await expect(line).toContainText(`By 20 Nov ${year}, production, no compliance rules`);
    await environments.getByLabel("Staging").check();

    const rules = part.getByRole("group", { name: "Compliance" });
    await expect(rules.getByLabel("None")).toBeChecked();
    await rules.getByLabel("HIPAA").check();
    await expect(rules.getByLabel("None")).not.toBeChecked();
    await rules.getByLabel("SOC2").check();
    await expect(line).toContainText("HIPAA and SOC2");
    await rules.getByLabel("None").check();
    await expect(rules.getByLabel("HIPAA")).not.toBeChecked();
    await expect(rules.getByLabel("SOC2")).not.toBeChecked();
    await rules.getByLabel("SOC2").check();
    await expect(line).toContainText(`By 20 Nov ${year}, staging and production, SOC2`);
  });

  await test.step("Artifacts", async () => {
    const part = fold(page, "Artifacts");
    const line = part.locator("summary");
    await expect(line).toContainText("No repository, no datasets, no docs");
    await line.click();
    await expect(part.getByLabel("Its token or key")).toHaveCount(0);
    await part.getByLabel("Repository").fill("https://github.com/user/project");
    await expect(part.getByLabel("Its token or key"), "an address may need one").toBeVisible();
    await part.getByLabel("Repository").fill("/no/such/repository");
    await expect(part.getByLabel("Its token or key"), "a path does not").toHaveCount(0);
    await part.getByLabel("Repository").fill("");

    await part.getByRole("button", { name: "Add dataset URL" }).click();
    const dataset = part.getByRole("textbox", { name: "Add dataset URL" });
    await dataset.fill("https://example.com/rows.csv");
    await dataset.press("Enter");
    await part.getByRole("button", { name: "Add dataset URL" }).click();
    await dataset.fill("https://example.com/more.csv");
    await dataset.press("Enter");
    await expect(line).toContainText("No repository, 2 datasets, no docs");
    await part.getByRole("button", { name: "Remove https://example.com/more.csv" }).click();
    await part.getByRole("button", { name: "Add reference documentation" }).click();
    await part.getByRole("textbox", { name: "Add reference documentation" }).fill("https://example.com/guide.html");
    await part.getByRole("textbox", { name: "Add reference documentation" }).blur();
    await expect(line).toContainText("No repository, 1 dataset, 1 doc");
    await expect(part).toContainText("An address is passed on as a reference: nobody opens it.");
  });

  await test.step("Advanced", async () => {
    const part = fold(page, "Advanced");
    const line = part.locator("summary");
    await expect(line).toContainText("Tests, documentation, deployment config; no review before deployment");
    await line.click();
    await expect(part.getByLabel("Generate tests (unit + integration)")).toBeChecked();
    await part.getByLabel("Generate documentation").uncheck();
    await part.getByLabel("Include deployment config").uncheck();
    await part.getByLabel("Request human review before deployment").check();
    await expect(line).toContainText("Tests, review before deployment; no documentation, deployment config");
  });

  await expectNoViolations(page);
  await expect(form).toContainText("Without a preview the plan waits for your approval.");
  const created = page.waitForResponse((answer) => answer.url().includes("/api/_calls/start_build"));
  await form.getByRole("button", { name: "Start build" }).click();
  await expect(page.getByRole("status").filter({ hasText: "Review plan and confirm to start execution" })).toContainText("Cabinets");
  const { intent_id: intent } = (await (await created).json()) as { intent_id: string };
  await expect(form.getByLabel(question), "the form is for the next one").toHaveValue("");

  const kept = (await (await request.get(`/api/coding_agent/status/${intent}`)).json()) as { status: string; request: Request };
  expect(kept.status).toBe("awaiting_approval");
  expect(kept.request).toMatchObject({
    project_type: "custom",
    description,
    target_domain: "api",
    constraints: { deadline: day, environments: ["staging", "production"], compliance: ["soc2"], stack: "fastapi" },
    artifacts: { repository: null, datasets: ["https://example.com/rows.csv"], docs: ["https://example.com/guide.html"] },
    options: { generate_tests: true, generate_docs: false, include_deployment: false, require_review: true },
  });
  await request.post(`/api/coding_agent/${intent}/stop`);
});

test.describe("wrong entries", () => {
  test.use({ expectedComplaint: /status of 422/ });

  test("a wrong entry in a part that folds is said at its field", async ({ page }) => {
    await open(page, "/");
    const form = builder(page);
    await form.getByLabel(question).fill("Drawer has name and depth.");
    const constraints = fold(page, "Constraints");
    await constraints.locator("summary").click();
    await constraints.getByLabel("Deadline", { exact: true }).fill("2020-01-01");
    await constraints.getByLabel("Development").uncheck();
    await constraints.getByLabel("Staging").uncheck();
    const artifacts = fold(page, "Artifacts");
    await artifacts.locator("summary").click();
    await artifacts.getByLabel("Repository").fill("http://localhost/project");
    await form.getByRole("button", { name: "Preview plan" }).click();
    await expect(constraints.getByRole("alert").filter({ hasText: "2020-01-01" })).toBeVisible();
    await expect(constraints.getByRole("alert").filter({ hasText: "Choose at least one environment" })).toBeVisible();
    await expect(artifacts.getByRole("alert").filter({ hasText: "`http` addresses are not opened" })).toBeVisible();
    await expectNoViolations(page);

    await constraints.getByLabel("No deadline").check();
    await constraints.getByLabel("Development").check();
    await artifacts.getByLabel("Repository").fill("");
    await form.getByRole("button", { name: "Preview plan" }).click();
    await expect(preview(page)).toContainText("Backend API Development");
    await expect(form.getByRole("alert")).toHaveCount(0);
  });
});

test("the preview is the plan that the API gives, and says when the form has changed since", async ({ page, request }) => {
  await open(page, "/");
  const form = builder(page);
  const plan = preview(page);
  await expect(plan).toContainText("Nothing is created by a preview.");
  await form.getByLabel(question).fill(chatDescription);
  await form.getByRole("button", { name: "Preview plan" }).click();
  await expect(plan).toContainText("current");

  // The form's first choices are those of a request that says nothing, but for its environments.
  const asked = { description: chatDescription, constraints: { environments: ["development", "staging"] } };
  const answer = await request.post("/api/coding_agent/preview", { data: asked });
  const given = (await answer.json()) as { estimated_tasks: number; plan_hash: string; plan_preview: { phases: string[]; deliverables: string[] } };
  await expect(plan.getByTitle("Plan hash; approval binds to it")).toHaveText(given.plan_hash.slice(0, 7));

  const phases = plan.locator("ol.phases").getByRole("listitem");
  const names = ["Planning & Design", "Backend API Development", "Frontend Development", "Testing", "Documentation", "Deployment Setup"];
  expect(given.plan_preview.phases.map((phase) => phase.replace(/ \([\d.]+h\)$/, ""))).toEqual(names);
  await expect(phases).toHaveText(names.map((name) => new RegExp(`^${name}\\s*\\d+(\\.\\d+)? (s|min)`)));
  await expect(plan.locator(".fig").filter({ hasText: "tasks" })).toHaveText(`${given.estimated_tasks}tasks`);
  await expect(plan.locator(".fig").filter({ hasText: "estimated" })).toHaveText(/^\d+ (s|min)( \d+ s)?estimated$/);
  await expect(plan.locator(".fig").filter({ hasText: "sure" })).toHaveText(/^(Low|Medium|High)sure, (a prior|\d+ like builds?)$/);

  const deliverables = plan.locator("details").filter({ hasText: "Deliverables" });
  await expect(deliverables.getByRole("list")).toBeHidden();
  await deliverables.locator("summary").click();
  const promised = [
    "WebSocket chat backend (FastAPI)",
    "React chat UI (TypeScript, light and dark)",
    "PostgreSQL schema & migrations (SQLite without DATABASE_URL)",
    "Accounts and sign-in (JWT, sessions or OAuth: you will be asked)",
    "Unit tests (80%+ coverage, measured)",
    "Integration tests",
    "API documentation (OpenAPI), README and architecture",
    "Deployment configs (Docker, compose, Kubernetes, systemd, CI workflow)",
  ];
  expect(given.plan_preview.deliverables).toEqual(promised);
  await expect(deliverables.getByRole("listitem")).toHaveText(promised);
  await expect(plan.getByRole("listitem").filter({ hasText: "How should people sign in? JWT, Sessions, OAuth" })).toBeVisible();
  await expect(form).toContainText("Starts at once: the plan beside is approved with it.");
  await expectNoViolations(page);

  // What is added changes the plan; until it is asked for again, the one beside is not of this form.
  await form.getByLabel(question).fill(`${chatDescription} Please also mail me a weekly poem.`);
  await expect(plan).toContainText("form changed");
  await expect(form).toContainText("Without a preview the plan waits for your approval.");
  await fold(page, "Constraints").locator("summary").click();
  await fold(page, "Constraints").getByLabel("HIPAA").check();
  await form.getByRole("button", { name: "Preview plan" }).click();
  await expect(plan).toContainText("current");
  await expect(plan).not.toContainText("form changed");
  await expect(plan.locator(".part").filter({ hasText: "Not covered: these sentences will not be built" })).toContainText("“Please also mail me a weekly poem.”");
  const compliance = plan.locator("details").filter({ hasText: "Compliance" });
  await expect(compliance.getByRole("listitem").filter({ hasText: "HIPAA: Audit log" })).toBeVisible();
  await expect(compliance.getByRole("listitem").filter({ hasText: "HIPAA: A risk analysis" })).toContainText("(people must do this)");
  await expect(plan.getByTitle("Plan hash; approval binds to it")).not.toHaveText(given.plan_hash.slice(0, 7));
  await expectNoViolations(page);
});

test("a form is saved as a template and filled from it later", async ({ page, request }) => {
  await open(page, "/");
  const form = builder(page);
  const list = page.getByLabel("Load a template");
  await form.getByLabel(question).fill("Wardrobe has name and width.");
  await form.getByText("API integration").click();
  await fold(page, "Advanced").locator("summary").click();
  await fold(page, "Advanced").getByLabel("Generate documentation").uncheck();

  await form.getByRole("button", { name: "Save as template" }).click();
  const name = form.getByLabel("Name of the template");
  await expect(form.getByRole("button", { name: "Save", exact: true })).toBeDisabled();
  await name.press("Escape");
  await expect(name).toBeHidden();
  await form.getByRole("button", { name: "Save as template" }).click();
  await name.fill("Furniture");
  await expectNoViolations(page);
  await form.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByRole("status").filter({ hasText: "Saved as template “Furniture”." })).toBeVisible();
  await expect(name).toBeHidden();

  await page.evaluate(() => localStorage.clear());
  await open(page, "/");
  await expect(form.getByLabel(question)).toHaveValue("");
  await list.focus();
  await expect(list.getByRole("option", { name: "Furniture" })).toBeAttached();
  await list.selectOption("Furniture");
  await expect(page.getByRole("status").filter({ hasText: "The form holds template “Furniture” now." })).toBeVisible();
  await expect(form.getByLabel(question)).toHaveValue("Wardrobe has name and width.");
  await expect(form.getByRole("radio", { name: "API integration" })).toBeChecked();
  await expect(fold(page, "Advanced").locator("summary")).toContainText("Tests, deployment config; no documentation, review before deployment");
  await request.delete("/api/learning/templates/Furniture");
});

test.describe("with a model", () => {
  const types = ["Feature", "Test suite", "Infrastructure", "Research", "Website", "Blockchain", "API integration", "Custom"];
  const domains = ["Full-stack web application", "Infrastructure", "Research", "Blockchain", "API", "CLI tool", "Library", "Documentation"];
  const stacks = ["React + FastAPI", "FastAPI only", "React + Node", "SvelteKit", "Rust + Axum", "Solidity + Ethers.js + React", "Terraform", "As described"];
  const told = (type = "", domain = "", stack = "") => `Kind of work: ${type}. Domain: ${domain}. Stack: ${stack}.`;
  const cluster = "Kubernetes cluster with monitoring";
  const marketplace = "NFT marketplace with wallet integration";
  let model: ScriptedModel;

  test.beforeAll(async ({ request }) => {
    const work = (key: string, title: string) => [{ name: title, tasks: [task(key, "coding", title, [])] }];
    model = await ScriptedModel.start(request, [
      plans("- Which heading? Large", "Large page", work("part", "Write it"), ["a page with a large heading"]),
      asking("A page with a heading", "A page", "Which heading?", ["Small", "Large"]),
      plans(cluster, "Cluster", work("network", "Write the configuration"), ["Terraform configuration of a VPC", "Terraform configuration of a cluster"]),
      plans(marketplace, "Marketplace", work("contract", "Write the contract"), [told("Blockchain", "Blockchain", "Solidity + Ethers.js + React")]),
      ...types.map((type, index) => {
        const line = told(type, domains[index], stacks[index]);
        return plans(line, `Plan ${index}`, work("part", "Write it"), [line]);
      }),
      begins("network", write("network.txt", "x\n"), write("main.tf", 'resource "null_resource" "cluster" {}\n'), finish),
      begins("contract", write("contract.txt", "x\n"), finish),
    ]);
  });

  test.afterAll(async ({ request }) => model.end(request));

  async function describe(page: Page, type: string, domain: string, stack: string): Promise<void> {
    const form = builder(page);
    await form.getByRole("group", { name: "Project type" }).getByText(type, { exact: true }).click();
    await form.getByLabel("Target domain").selectOption({ label: domain });
    await form.getByLabel("Stack").selectOption({ label: stack });
  }

  test("every type, domain and stack can be chosen and is what the model is told", async ({ page, request }) => {
    await open(page, "/");
    await builder(page).getByLabel(question).fill("As the list says.");
    // What the blueprint can build goes to it, unless a person wants the model.
    await builder(page).getByLabel("Agent").selectOption({ label: "Model" });
    const deliverables = preview(page).locator("details").filter({ hasText: "Deliverables" });
    for (const [index, type] of types.entries()) {
      await describe(page, type, domains[index] ?? "", stacks[index] ?? "");
      await builder(page).getByRole("button", { name: "Preview plan" }).click();
      await expect(deliverables.locator("summary")).toContainText(told(type, domains[index], stacks[index]));
    }
    await expectNoViolations(page);
    expect(await model.problems(request)).toEqual([]);
  });

  test("a question of the plan is decided before the plan is approved, and the next plan is made by it", async ({ page }) => {
    await open(page, "/");
    const form = builder(page);
    await describe(page, "Custom", "Library", "As described");
    await form.getByLabel(question).fill("A page with a heading");
    await form.getByRole("button", { name: "Preview plan" }).click();
    const options = preview(page).getByRole("group", { name: "Which heading?" });
    await expect(options.getByRole("button")).toHaveText(["Small", "Large"]);
    await expectNoViolations(page);
    await options.getByRole("button", { name: "Large" }).click();
    await expect(form.getByLabel(question)).toHaveValue("A page with a heading\n\nDecided:\n- Which heading? Large");
    await expect(preview(page)).toContainText("a page with a large heading", { timeout: 30_000 });
    await expect(preview(page)).toContainText("current");
    await expect(options).toBeHidden();
  });

  test("infrastructure from the form: planned while it can be seen, approved, built, and not deployed for a reason", async ({ page, request }) => {
    await open(page, "/");
    await builder(page).getByLabel(question).fill(cluster);
    await describe(page, "Infrastructure", "Infrastructure", "Terraform");
    // Without a word the blueprint would build it.
    await builder(page).getByLabel("Agent").selectOption({ label: "Model" });
    model.hold(cluster);
    await builder(page).getByRole("button", { name: "Start build" }).click();
    const row = page.getByRole("region", { name: "Active builds" }).getByRole("row").filter({ hasText: cluster });
    await expect(row).toContainText(/Planning.*Making the plan/s);
    await expect(page.getByRole("region", { name: "Active intents" }).getByRole("row").filter({ hasText: cluster })).toContainText("Plan follows");
    model.letGo(cluster);
    const notification = page.getByRole("complementary", { name: "Co-pilot" }).getByRole("listitem").filter({ hasText: "Plan ready: Cluster" });
    await expect(notification).toContainText("Terraform configuration of a VPC");
    const intent = await intentOf(request, "Cluster");
    await open(page, `/builds/${intent}?tab=plan`);
    const main = page.getByRole("main");
    await expect(main).toContainText("Terraform configuration of a cluster");
    // The first request of the task waits, so that the work is seen to go on.
    model.hold("Your task is `network`");
    await notification.getByRole("button", { name: "Approve & start" }).click();
    await expect(main.getByRole("region", { name: "Build" })).toContainText("Executing");
    model.letGo("Your task is `network`");
    const done = await waitForStatus(request, intent, "completed", 30_000);
    expect(done.artifacts_generated.map((file) => file.path)).toContain("main.tf");
    await expect(main.getByRole("region", { name: "Build" })).toContainText("Completed");
    const deploy = main.getByRole("region", { name: "Build" }).getByRole("button", { name: "Deploy" });
    await expect(deploy).toBeDisabled();
    await expect(deploy).toHaveAttribute("title", /How to start what a model built, it does not/);
    expect(await model.problems(request)).toEqual([]);
  });

  test("a blockchain application from the form is planned with its stack and built after its approval", async ({ page, request }) => {
    await open(page, "/");
    await builder(page).getByLabel(question).fill(marketplace);
    await describe(page, "Blockchain", "Blockchain", "Solidity + Ethers.js + React");
    model.hold(marketplace);
    await builder(page).getByRole("button", { name: "Start build" }).click();
    const row = page.getByRole("region", { name: "Active builds" }).getByRole("row").filter({ hasText: /marketplace/i });
    await expect(row).toContainText("Making the plan");
    model.letGo(marketplace);
    await expect(row).toContainText(/Marketplace.*Awaiting approval.*Planning.*Review 1 task/s);
    await row.getByRole("button", { name: "Approve" }).click();
    const completed = page.getByRole("region", { name: "Completed projects" }).getByRole("row").filter({ has: page.getByRole("link", { name: "Marketplace", exact: true }) });
    await expect(completed).toContainText("Completed", { timeout: 30_000 });
    await completed.getByRole("link", { name: "Marketplace", exact: true }).click();
    const sections = page.getByRole("navigation", { name: "Sections" });
    await sections.getByRole("link", { name: /^Plan/ }).click();
    await expect(page.getByRole("main")).toContainText("Kind of work: Blockchain. Domain: Blockchain. Stack: Solidity + Ethers.js + React.");
    await sections.getByRole("link", { name: "Retrospective" }).click();
    await expect(page.getByRole("main").getByRole("region", { name: "Retrospective" })).toContainText("Coding build: Marketplace");
    expect(await model.problems(request)).toEqual([]);
  });
});

import { type APIRequestContext, type Locator, type Page } from "@playwright/test";

import { approved, expect, expectNoViolations, messagesOf, open, test, toasts, waitForStatus } from "./harness";

const infrastructure = { project_type: "infrastructure", constraints: { environments: ["staging"] } };

async function unavailable(api: APIRequestContext): Promise<string | null> {
  const { targets } = (await (await api.get("/readyz")).json()) as { targets: { name: string; available: boolean; detail: string }[] };
  const found = targets.find((target) => target.name === "terraform");
  return found?.available ? null : (found?.detail ?? "there is no such target");
}

async function intentNamed(api: APIRequestContext, title: string): Promise<string> {
  const find = async (): Promise<string | undefined> => {
    for (const list of ["active", "completed"]) {
      const { builds } = (await (await api.get(`/api/coding_agent/${list}`)).json()) as { builds: { intent_id: string; title: string }[] };
      const found = builds.find((build) => build.title === title);
      if (found) return found.intent_id;
    }
    return undefined;
  };
  await expect.poll(find, { intervals: [100] }).toBeTruthy();
  return (await find()) ?? "";
}

/** The run of that build at the top of the section. */
const runOf = (page: Page, title: string, kind: string): Locator => page.getByRole("article", { name: new RegExp(`^provision-\\d+: ${title}, ${kind}`) }).first();

test.beforeEach(async ({ request }) => {
  const why = await unavailable(request);
  test.skip(why !== null, `provisioning is unavailable here: ${why ?? ""}`);
});

test("a described cluster is planned, built, approved, applied with its credentials in the vault, and destroyed", async ({ page, request }) => {
  test.setTimeout(240_000);
  await open(page, "/");
  await page.getByRole("radio", { name: "Infrastructure" }).check();
  await page.getByLabel("What would you like Grace to build?").fill("# Harbour\nKubernetes cluster with monitoring, 3 nodes, autoscaling");
  await expect(page.getByLabel("Target domain")).toHaveValue("infrastructure");
  await page.getByRole("button", { name: "Start build" }).click();
  const ready = messagesOf(page, "Plan ready: Harbour");
  await expect(ready).toContainText("Terraform: a local stand-in of the cluster (3 to 6 nodes)");
  await ready.getByText(/\d+ more/).click();
  for (const part of ["AWS (EKS)", "Auto-scaling", "Prometheus monitoring"]) {
    await expect(ready).toContainText(part);
  }
  await ready.getByRole("button", { name: "Approve & start" }).click();
  const intent = await intentNamed(request, "Harbour");
  const done = await waitForStatus(request, intent, "completed", 60_000);
  expect(done.tests).toMatchObject({ passed: 3, failed: 0 });
  expect(done.artifacts_generated.map((file) => file.path)).toEqual(
    expect.arrayContaining(["terraform/local/main.tf", "terraform/aws/main.tf", "kubernetes/base/app.yaml", "monitoring/prometheus/rules.yml", "docs/topology.svg"]),
  );

  await messagesOf(page, "Harbour build complete").getByRole("button", { name: "Deploy now" }).click();
  const waits = messagesOf(page, "Ready to provision Harbour");
  await expect(waits).toContainText("This will create 8 resources in staging (the local stand-in).", { timeout: 60_000 });
  await expect(waits).toContainText("syntax checked, schema validated, planned");
  await expect(waits).toContainText("no price known");
  await waits.getByRole("link", { name: "Go to Layer 4" }).click();
  await expect(page).toHaveURL(/\/operations#provision-\d+$/);

  // The plan stays open, and in focus, while the run goes on.
  const run = runOf(page, "Harbour", "Provision");
  await expect(run).toContainText("Awaiting approval");
  const fold = run.locator("details.plan-fold");
  await fold.locator("summary").click();
  await expect(fold.getByText("terraform_data.node[2]")).toBeVisible();
  await expect(fold).toContainText("Nothing is there yet");
  await expectNoViolations(page);
  await run.getByRole("button", { name: "Approve" }).click();
  const dialog = page.getByRole("dialog", { name: /^Apply the plan [0-9a-f]{12} to staging/ });
  await expect(dialog).toContainText("It will create 8 resources.");
  await expectNoViolations(page);
  await dialog.getByRole("button", { name: "Apply it" }).click();
  await fold.locator("summary").focus();
  await expect(run).toContainText("in the vault as STAGING_LOCAL_TF_KUBECONFIG", { timeout: 60_000 });
  await expect(fold).toHaveAttribute("open", "");
  await expect(fold.locator("summary")).toBeFocused();
  await expect(run).toContainText("https://harbour.stand-in.invalid:6443");
  await expect(run).toContainText("Known: syntax checked, schema validated, planned, applied");
  const provisioned = messagesOf(page, /^Harbour is provisioned in staging/);
  await expect(provisioned).toContainText("Provisioned: stand in endpoint https://harbour.stand-in.invalid:6443");
  await expect(provisioned).toContainText("Stored STAGING_LOCAL_TF_KUBECONFIG in the vault");
  await provisioned.getByRole("link", { name: "Monitor here" }).click();
  await expect(page.getByRole("main")).toContainText("Apply complete! Resources: 8 added, 0 changed, 0 destroyed.");
  await open(page, "/settings");
  await expect(page.getByRole("row").filter({ hasText: "STAGING_LOCAL_TF_KUBECONFIG" })).toContainText(intent);

  await open(page, "/operations");
  await run.getByRole("button", { name: "Destroy" }).click();
  await page.getByRole("dialog", { name: `Destroy ${intent}/staging/local?` }).getByRole("button", { name: "Plan to destroy it" }).click();
  const destroy = runOf(page, "Harbour", "Destroy");
  await expect(destroy).toContainText("Awaiting approval", { timeout: 60_000 });
  await destroy.locator("details.plan-fold summary").click();
  await expect(destroy).toContainText("Everything that is there is destroyed.");
  await destroy.getByRole("button", { name: "Approve" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Destroy it" }).click();
  await expect(destroy).toContainText("STAGING_LOCAL_TF_KUBECONFIG left the vault", { timeout: 60_000 });
  await open(page, "/settings");
  await expect(page.getByRole("row").filter({ hasText: "STAGING_LOCAL_TF_KUBECONFIG" })).toHaveCount(0);
});

test("a provider's configuration ends honestly at what could be checked", async ({ page, request }) => {
  test.setTimeout(180_000);
  const built = await approved(request, "# Quayside\nEKS cluster in eu-central-1 with monitoring, 3 nodes", infrastructure);
  await waitForStatus(request, built.intent, "completed", 60_000);
  await open(page, `/builds/${built.intent}`);
  await page.getByRole("region", { name: "Build" }).getByRole("link", { name: "Deploy" }).click();
  await expect(page).toHaveURL(new RegExp(`/operations\\?provision=${built.intent}#provisioning$`));
  const section = page.getByRole("region", { name: "Provisioning" });
  await expect(section.getByLabel("Infrastructure")).toHaveValue(built.intent);
  await section.getByLabel("Configuration").selectOption({ label: "AWS (EKS)" });
  await section.getByRole("button", { name: "Check and plan" }).click();
  await expect(toasts(page)).toContainText("Nothing is changed before you approve its plan.");
  const run = runOf(page, "Quayside", "Provision");
  await expect(run).toContainText("Checked only", { timeout: 60_000 });
  await expect(run).toContainText("Ended at what could be checked here: syntax checked; its schema was not validated, nothing was planned and nothing applied.");
  await expect(run).toContainText("Known: syntax checked");
  await expect(run.getByRole("button")).toHaveCount(0);
  // Of a place that is checked again, the newest run alone says how it is now.
  await section.getByRole("button", { name: "Check and plan" }).click();
  const runs = section.getByRole("article", { name: /: Quayside, Provision/ });
  const earlier = section.getByText(/^\d+ earlier runs?$/);
  await expect(earlier).toBeVisible();
  await expect(runs).toHaveCount(1);
  await earlier.click();
  await expect(runs).toHaveCount(2);
  await expectNoViolations(page);
  await page.setViewportSize({ width: 390, height: 844 });
  await expectNoViolations(page);
  expect(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth)).toBe(true);
});

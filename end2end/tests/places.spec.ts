import { approved, expect, expectNoViolations, open, test, toasts, waitForStatus, type Planned } from "./harness";

const request = {
  target_domain: "api",
  constraints: { stack: "fastapi", environments: ["development", "staging", "production"] },
  options: { generate_tests: false, generate_docs: false },
};
let built: Planned;

type Database = { name: string; intent_id: string; copies: { name: string }[] };

test.describe.configure({ mode: "serial" });
test.use({ expectedComplaint: /status of (409|422)/ });

test("a service that is planned for PostgreSQL has a database of its own, which is dropped after its name was written", async ({ page, request: api }) => {
  test.setTimeout(600_000);
  await open(page, "/operations");
  built = await approved(api, "Quarrystone has weight and colour. It keeps its data in PostgreSQL.", request);
  await waitForStatus(api, built.intent, "completed", 200_000);
  const data = { target_environment: "development", deployment_config: { docker_build: false, run_tests: false, auto_rollback: true } };
  const deploy = async () => {
    const answer = await api.post(`/api/coding_agent/${built.intent}/deploy`, { data });
    expect(answer.status()).toBe(202);
    const { deployment_id: id } = (await answer.json()) as { deployment_id: string };
    const status = async () => ((await (await api.get(`/api/deployments/${id}`)).json()) as { status: string }).status;
    await expect.poll(status, { timeout: 280_000 }).toMatch(/live|failed|rolled_back/);
    const deployment = (await (await api.get(`/api/deployments/${id}`)).json()) as { url: string; reason: string | null };
    expect([await status(), deployment.reason]).toEqual(["live", null]);
    return { id, url: deployment.url };
  };
  const first = await deploy();
  const panel = page.locator(`#${first.id}`);
  const step = (name: string) => panel.locator("ol.steps > li").filter({ hasText: name });
  await expect(step("Provision database")).toContainText("its own role and database");
  await expect(step("Copy database")).toContainText("it is empty");
  await expect(step("Migrate")).toContainText("to revision");

  // What is written is there after the next release took over, and a copy was made before its migration.
  const stones = `${first.url}/api/quarrystones`;
  const made = await page.request.post(stones, { data: { weight: 3, colour: "grey" } });
  expect(made.status()).toBe(201);
  await deploy();
  const listed = (await (await page.request.get(stones)).json()) as { total: number };
  expect(listed.total).toBe(1);

  const row = page.getByRole("region", { name: "Databases" }).getByRole("row").filter({ hasText: built.title });
  const { items } = (await (await api.get("/api/provisioning/databases")).json()) as { items: Database[] };
  const database = items.find((one) => one.intent_id === built.intent)!;
  await expect(row).toContainText(database.name);
  await expect(row).toContainText("Ready");
  await expect(row).toContainText(`${database.copies[0].name} before a migration`);
  await expect(row).toContainText("DEVELOPMENT_DATABASE_PASSWORD");
  expect((await api.delete(`/api/provisioning/databases/${database.name}`)).status()).toBe(422);

  await row.getByRole("button", { name: `Drop ${database.name}` }).click();
  const dialog = page.getByRole("dialog", { name: `Drop ${database.name}?` });
  const drop = dialog.getByRole("button", { name: "Drop it" });
  await expect(dialog).toContainText("All data that");
  await expect(drop).toBeDisabled();
  await dialog.getByRole("textbox").fill("yes");
  await expect(drop).toBeDisabled();
  await expectNoViolations(page);
  await dialog.getByRole("textbox").fill(database.name);
  await drop.click();
  await expect(toasts(page)).toContainText(`${database.name} is dropped.`);
  await expect(row).toHaveCount(0);
  expect((await page.request.get(stones)).status()).toBeGreaterThanOrEqual(500);
});

test("secrets of services are chosen by name, refused where the vault has none, and removed", async ({ page, request: api }) => {
  await open(page, "/operations");
  const services = page.getByRole("region", { name: "Secrets of services" });
  await services.getByRole("button", { name: "Add a variable" }).click();
  const dialog = page.getByRole("dialog", { name: "A variable of a service" });
  await dialog.getByLabel("For", { exact: true }).selectOption({ label: `${built.title} on development` });
  await dialog.getByLabel("Variable", { exact: true }).fill("QUARRY_MAIL");
  await dialog.getByRole("button", { name: "Give it" }).click();
  await expect(dialog).toContainText("The vault has no secret QUARRY_MAIL");
  await expect(dialog.getByLabel("Variable", { exact: true })).toHaveValue("QUARRY_MAIL");
  await expectNoViolations(page);
  const secret = { name: "QUARRY_TOKEN", intent_id: built.intent, value: "a-value-that-nobody-sees" };
  expect((await api.post("/api/secrets", { data: secret })).status()).toBe(201);
  await dialog.getByLabel("Secret of the vault", { exact: true }).fill("QUARRY_TOKEN");
  await dialog.getByRole("button", { name: "Give it" }).click();
  await expect(dialog).toBeHidden();
  const row = services.getByRole("row").filter({ hasText: "QUARRY_MAIL" });
  await expect(row).toContainText("QUARRY_TOKEN");
  await expect(row).toContainText(built.title);
  await expectNoViolations(page);
  await row.getByRole("button", { name: "Remove QUARRY_MAIL" }).click();
  await page.getByRole("dialog", { name: "Remove QUARRY_MAIL?" }).getByRole("button", { name: "Remove it" }).click();
  await expect(row).toHaveCount(0);
  expect((await api.delete(`/api/secrets/QUARRY_TOKEN?intent_id=${built.intent}`)).status()).toBe(204);
});

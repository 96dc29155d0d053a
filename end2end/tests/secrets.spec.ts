import { LLMock } from "@copilotkit/aimock";

import { addModel, expect, expectNoViolations, messagesOf, open, planned, statusOf, test, waitForStatus } from "./harness";

const value = "swordfish-and-a-horse-77";

test.describe("a secret", () => {
  test.use({ expectedComplaint: /status of 422/ });

  test("is sealed in Settings, replaced and deleted, and its value is never seen again", async ({ page, request }) => {
    await open(page, "/settings");
    const secrets = page.getByRole("region", { name: "Secrets" });
    const row = secrets.getByRole("row").filter({ hasText: "DEPLOY_TOKEN" });
    await expect(secrets.getByRole("button", { name: "Add a secret" })).toBeEnabled();
    await expect(row).toHaveCount(0);

    // What is wrong is said at its field, and what was typed stays.
    await secrets.getByRole("button", { name: "Add a secret" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name", { exact: true }).fill("deploy token");
    await dialog.getByLabel("Value", { exact: true }).fill(value);
    await dialog.getByRole("button", { name: "Seal it" }).click();
    await expect(dialog.locator(".field").filter({ has: page.getByLabel("Name", { exact: true }) })).toContainText("A to Z");
    await expect(dialog.getByLabel("Value", { exact: true })).toHaveValue(value);
    await dialog.getByLabel("Name", { exact: true }).fill("DEPLOY_TOKEN");
    await dialog.getByRole("button", { name: "Seal it" }).click();
    await expect(dialog).toBeHidden();

    await expect(row).toContainText("all builds");
    await expect(row).toContainText("never");
    await expectNoViolations(page);
    await row.getByRole("button", { name: "Replace" }).click();
    await expect(dialog.getByLabel("Value", { exact: true })).toHaveValue("");
    await dialog.getByLabel("Value", { exact: true }).fill(`${value}-too`);
    await dialog.getByRole("button", { name: "Seal it" }).click();
    await expect(row.getByRole("cell", { name: /^2 / })).toBeVisible();

    await page.reload();
    await expect(row).toBeVisible();
    const seen = [await page.content(), ...(await Promise.all(["/api/secrets", "/api/secrets/audit"].map(async (path) => (await request.get(path)).text())))];
    expect(seen[1]).toContain("DEPLOY_TOKEN");
    expect(seen.join()).not.toContain(value);

    await row.getByRole("button", { name: "Delete DEPLOY_TOKEN" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete it" }).click();
    await expect(row).toHaveCount(0);
    await secrets.getByText("Who used and changed them").click();
    await expect(secrets.getByRole("row").filter({ hasText: "Deleted" }).filter({ hasText: "DEPLOY_TOKEN" })).toBeVisible();
  });
});

test.describe("a secret that a build asks for", () => {
  const model = new LLMock({ port: 0, auth: { apiKeys: ["a-key-that-only-this-test-knows"] } });
  const usage = { input_tokens: 100, output_tokens: 20 };
  const call = (name: string, input: object) => ({ name, arguments: JSON.stringify(input) });
  const tasks = ["FIRST_TOKEN", "SECOND_TOKEN"];

  test.beforeAll(async ({ request }) => {
    const task = (name: string) => ({
      key: name.toLowerCase(), title: `Use ${name}`, stage: "coding", detail: "As said.", files: [], after: [], verify: "true", minutes: 1,
    });
    const plan = {
      title: "Courier", phases: [{ name: "Work", tasks: tasks.map(task) }], deliverables: ["a try"], assumptions: [], not_covered: [], risks: [],
      questions: [], changes: [], baseline: "",
    };
    model.on({ systemMessage: "You plan software projects for Grace" }, { content: JSON.stringify(plan), usage });
    for (const name of tasks) {
      const ask = call("request_secret", { name, purpose: `to try ${name}` });
      model.on({ userMessage: `Your task is \`${name.toLowerCase()}\``, hasToolResult: false }, { toolCalls: [ask], usage });
    }
    // Its length alone is told, and only of the one that was allowed.
    const run = call("run", { command: 'echo "it has ${#FIRST_TOKEN} letters"', secrets: ["FIRST_TOKEN"] });
    model.on({ toolResultContains: "FIRST_TOKEN", sequenceIndex: 0 }, { toolCalls: [run], usage });
    model.on({ hasToolResult: true }, { toolCalls: [call("finish", { summary: "Tried." })], usage });
    await model.start();
    await addModel(request, "asking", `${model.url}/v1`);
  });

  test.afterAll(async ({ request }) => {
    await model.stop();
    await request.delete("/api/models/asking");
    await request.delete("/api/secrets/FIRST_TOKEN");
  });

  test("is given its value from the message, allowed or refused, and Grace may not decide it", async ({ page, request }) => {
    test.setTimeout(90_000);
    await open(page, "/");
    const described = { target_domain: "cli_tool", constraints: { stack: "described" } };
    const { intent } = await planned(request, "A courier that carries letters.", described);
    await waitForStatus(request, intent, "awaiting_approval", 30_000);
    await messagesOf(page, "Plan ready: Courier").getByRole("button", { name: "Approve & start" }).click();
    const asking = messagesOf(page, "Courier asks for a secret");
    const of = (name: string) => asking.filter({ hasText: name });

    await expect(of("FIRST_TOKEN")).toContainText("to try FIRST_TOKEN");
    await expect(of("FIRST_TOKEN").getByRole("button", { name: /Let Grace decide/ })).toHaveCount(0);
    await expectNoViolations(page);
    await of("FIRST_TOKEN").getByRole("link", { name: "Add its value" }).click();
    await expect(page).toHaveURL(`/settings?secret=FIRST_TOKEN&build=${intent}#h-secrets`);
    const dialog = page.getByRole("dialog");
    await expect(dialog.getByLabel("Name", { exact: true })).toHaveValue("FIRST_TOKEN");
    await dialog.getByLabel("Value", { exact: true }).fill(value);
    await dialog.getByRole("button", { name: "Seal it" }).click();
    await expect(dialog).toBeHidden();
    await of("FIRST_TOKEN").getByRole("button", { name: /^\d\s*Allow for this build/ }).click();
    await expect(of("FIRST_TOKEN")).toHaveCount(0);

    await of("SECOND_TOKEN").getByRole("button", { name: /^\d\s*Refuse/ }).click();
    await waitForStatus(request, intent, "completed", 60_000);
    const { reviews } = (await (await request.get(`/api/coding_agent/status/${intent}`)).json()) as { reviews: { answer: string }[] };
    expect(reviews.map((review) => review.answer).sort()).toEqual(["Allow for this build", "Refuse"]);
    await open(page, `/builds/${intent}?tab=log`);
    await expect(page.getByRole("main")).toContainText(`it has ${value.length} letters`);
    expect((await statusOf(request, intent)).tasks.map((task) => task.state)).toEqual(["done", "done"]);
  });
});

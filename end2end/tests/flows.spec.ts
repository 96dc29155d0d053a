import { LLMock } from "@copilotkit/aimock";
import { type APIRequestContext } from "@playwright/test";

import { addModel, expect, expectNoViolations, intentOf, messagesOf, open, test, waitForStatus } from "./harness";

/** What `serve.mjs` gives the server in END2END_KEY; the mock takes no other. */
const key = "a-key-that-only-this-test-knows";
const usage = { input_tokens: 100, output_tokens: 20 };
const call = (name: string, input: object) => ({ name, arguments: JSON.stringify(input) });
const model = new LLMock({ port: 0, auth: { apiKeys: [key] } });

/** A plan of one task that writes one file. */
const plan = (title: string, key: string, file: string, deliverables: string[]) => ({
  title,
  phases: [
    {
      name: "Work",
      tasks: [{ key, title: `Write ${file}`, stage: "coding", detail: "As said.", files: [file], verify: `test -s ${file}`, minutes: 2 }],
    },
  ],
  deliverables,
  assumptions: [],
  not_covered: [],
  risks: [],
  questions: [],
  changes: [],
  baseline: "",
});
const cluster = ["EKS cluster (3 nodes)", "Prometheus monitoring", "Grafana dashboards", "Auto-scaling groups"];
const market = ["Smart contracts (Solidity)", "Frontend (React + Ethers.js)", "IPFS integration", "Wallet connectors", "Tests (Hardhat)"];

function script(): void {
  // Slow enough to be found among the active builds.
  const pace = { latency: 150, chunkSize: 100_000 };
  const planning = (about: string, made: object) => {
    const match = { systemMessage: "You plan software projects for Grace", userMessage: about };
    model.on(match, { content: JSON.stringify(made), usage }, pace);
  };
  planning("Kubernetes cluster", plan("Monitored cluster", "cluster", "main.tf", cluster));
  planning("NFT marketplace", plan("NFT marketplace", "market", "Market.sol", market));
  const write = (task: string, path: string, content: string, sequenceIndex?: number) =>
    model.on(
      { userMessage: `Your task is \`${task}\``, hasToolResult: false, ...(sequenceIndex === undefined ? {} : { sequenceIndex }) },
      { toolCalls: [call("write", { path, content }), call("finish", { summary: "Written." })], usage },
      pace,
    );
  // The first attempt fails for good: what was refused so is not tried again by itself.
  const refusal = { error: { type: "invalid_request_error", message: "temperature must be 1" }, status: 400 };
  model.on({ userMessage: "Your task is `cluster`", hasToolResult: false, sequenceIndex: 0 }, refusal);
  write("cluster", "main.tf", 'resource "aws_eks_cluster" "main" {}\n', 1);
  write("market", "Market.sol", "// SPDX-License-Identifier: MIT\npragma solidity ^0.8.0;\n\ncontract Market {}\n");
  model.on({ hasToolResult: true }, { toolCalls: [call("finish", { summary: "Written." })], usage });
}

const retrospectiveOf = async (request: APIRequestContext, intent: string) => {
  const { items } = (await (await request.get("/api/learning/retrospectives")).json()) as { items: { intent_id: string; cycle_name: string }[] };
  return items.find((kept) => kept.intent_id === intent);
};

test.beforeAll(async ({ request }) => {
  script();
  await model.start();
  await addModel(request, "flows", `${model.url}/v1`);
});

test.afterAll(async ({ request }) => {
  await model.stop();
  // What else is tested has no model.
  await request.delete("/api/models/flows");
});

test("infrastructure is described, planned, approved from the co-pilot, fails, is tried again and cannot be deployed", async ({ page, request }) => {
  test.setTimeout(120_000);
  await open(page, "/");
  await page.getByRole("radio", { name: "Infrastructure" }).check();
  await page.getByLabel("What would you like Grace to build?").fill("Kubernetes cluster with monitoring");
  await page.getByLabel("Target domain").selectOption({ label: "Infrastructure" });
  await page.getByLabel("Stack").selectOption({ label: "Terraform" });
  await page.getByLabel("Agent", { exact: true }).selectOption({ label: "Model" });
  await page.getByRole("button", { name: "Start build" }).click();
  const ready = messagesOf(page, "Plan ready: Monitored cluster");
  await expect(ready).toContainText("1 task in 1 phase");
  for (const part of cluster) {
    await expect(ready).toContainText(part);
  }
  const intent = await intentOf(request, "Monitored cluster");
  const asked = (await (await request.get(`/api/coding_agent/status/${intent}`)).json()) as { request: object };
  expect(asked.request).toMatchObject({ project_type: "infrastructure", target_domain: "infrastructure", constraints: { stack: "terraform" } });
  await ready.getByRole("button", { name: "Approve & start" }).click();

  // What failed is tried again, as a second attempt.
  const failed = messagesOf(page, "Monitored cluster build failed");
  await expect(failed).toContainText("temperature must be 1", { timeout: 30_000 });
  await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Tasks" }).click();
  await page.getByRole("group", { name: "Show" }).getByRole("button", { name: "Failed" }).click();
  const task = page.locator("details.group").filter({ hasText: intent }).locator(".task-rows > li");
  await expect(task).toContainText("temperature must be 1");
  await page.getByRole("group", { name: "Show" }).getByRole("button", { name: "All" }).click();
  const retries = page.getByRole("region", { name: "Queue" }).locator("dl > div").filter({ hasText: "Retries" }).locator("dd");
  const before = Number(await retries.textContent());
  await failed.getByRole("button", { name: "Retry" }).click();
  await expect(task).toContainText(/attempt 2 of \d/);
  await expect(retries).toHaveText(`${before + 1}`);
  await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Builder" }).click();
  const done = await waitForStatus(request, intent, "completed", 60_000);
  expect(done.artifacts_generated.map((file) => file.path)).toEqual(["main.tf"]);

  const complete = messagesOf(page, "Monitored cluster build complete");
  await expect(complete).toContainText("It is committed, and can be downloaded.");
  await expect(complete.getByRole("button", { name: /^Deploy/ })).toHaveCount(0);
  await page.getByRole("row").filter({ hasText: "Monitored cluster" }).getByRole("link", { name: "View" }).click();
  const deploy = page.getByRole("dialog").getByRole("button", { name: "Deploy now" });
  await expect(deploy).toBeDisabled();
  await expect(deploy).toHaveAttribute("title", /How to start what a model built, it does not/);
  await expectNoViolations(page);
});

test("a blockchain application is previewed, started and leaves its retrospective", async ({ page, request }) => {
  test.setTimeout(120_000);
  await open(page, "/");
  await page.getByRole("radio", { name: "Blockchain" }).check();
  await page.getByLabel("What would you like Grace to build?").fill("NFT marketplace with wallet integration");
  await page.getByLabel("Target domain").selectOption({ label: "Blockchain" });
  await page.getByLabel("Stack").selectOption({ label: "Solidity + Ethers.js + React" });
  await page.getByRole("button", { name: "Preview plan" }).click();
  const preview = page.getByRole("region", { name: "Plan preview" });
  await expect(preview).toContainText("Work");
  await preview.getByText("Deliverables").click();
  for (const part of market) {
    await expect(preview.getByText(part, { exact: true })).toBeVisible();
  }
  await page.getByRole("button", { name: "Start build" }).click();
  const intent = await intentOf(request, "NFT marketplace");
  const done = await waitForStatus(request, intent, "completed", 60_000);
  expect(done.artifacts_generated.map((file) => file.path)).toEqual(["Market.sol"]);
  await expect(messagesOf(page, "NFT marketplace build complete")).toBeVisible();
  await expect(messagesOf(page, "Learned from NFT marketplace")).toBeVisible();
  expect((await retrospectiveOf(request, intent))?.cycle_name).toBe("Coding build: NFT marketplace");
  await expect(page.getByRole("region", { name: "Learning retrospectives" })).toContainText("Coding build: NFT marketplace");
});

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect, test } from "@playwright/test";

import { chatDescription, statusOf, waitForStatus } from "./harness";

/** The specification's request; its deadline is past, so a day of next year stands there. */
const seed = {
  project_type: "feature",
  description: chatDescription,
  target_domain: "full_stack_web",
  constraints: {
    deadline: `${new Date().getUTCFullYear() + 1}-11-20`,
    environments: ["development", "staging"],
    compliance: [],
    stack: "react_fastapi",
  },
  artifacts: { datasets: [], docs: [] },
  options: { generate_tests: true, generate_docs: true, include_deployment: true, require_review: false },
};

test("by REST: the seed's request is built, and its archive passes its own tests outside of Grace", async ({ request }) => {
  test.setTimeout(900_000);
  const created = await request.post("/api/coding_agent/create", { data: seed });
  expect(created.status()).toBe(201);
  const { intent_id: intent, plan_hash } = (await created.json()) as { intent_id: string; plan_hash: string };
  const approved = await request.post(`/api/coding_agent/${intent}/approve`, { data: { approved: true, priority: "high", plan_hash } });
  expect(approved.status()).toBe(200);

  await expect.poll(async () => (await statusOf(request, intent)).approval_needed?.review_id, { timeout: 60_000 }).toBeTruthy();
  const review = (await statusOf(request, intent)).approval_needed?.review_id ?? "";
  const answer = (data: object) => request.post(`/api/coding_agent/${intent}/reviews/${review}/answer`, { data });
  expect((await answer({ answer: "Carrier pigeon" })).status()).toBe(422);
  expect((await answer({ answer: "Sessions" })).status()).toBe(200);
  expect((await answer({ answer: "JWT" })).status()).toBe(409);

  const done = await waitForStatus(request, intent, "completed", 400_000);
  expect(done.tests?.failed).toBe(0);
  const folder = mkdtempSync(join(tmpdir(), "grace-archive-"));
  try {
    const archive = await request.get(`/api/coding_agent/${intent}/archive.zip`);
    expect(archive.headers()["content-type"]).toBe("application/zip");
    writeFileSync(join(folder, "archive.zip"), await archive.body());
    execFileSync("python3", ["-m", "zipfile", "-e", "archive.zip", "project"], { cwd: folder });
    const project = join(folder, "project");
    for (const { path, lines } of done.artifacts_generated) {
      expect(existsSync(join(project, path)), path).toBe(true);
      const text = readFileSync(join(project, path), "latin1");
      if (lines > 0) {
        expect(text.split("\n").length - (text.endsWith("\n") ? 1 : 0), path).toBe(lines);
      }
    }
    // As the README says it, in a fresh environment; what it prints is shown when it fails.
    execFileSync("sh", ["-c", done.tests?.command ?? "false"], { cwd: project, stdio: "inherit", timeout: 400_000 });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }

  const retrospectives = (await (await request.get("/api/learning/retrospectives")).json()) as {
    items: { intent_id: string; metrics: { tests_passed?: number } }[];
  };
  const retrospective = retrospectives.items.find((kept) => kept.intent_id === intent);
  expect(retrospective?.metrics.tests_passed).toBe(done.tests?.passed);
});

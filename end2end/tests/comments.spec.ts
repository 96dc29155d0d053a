import { expect, expectNoViolations, intentOf, open, test, toasts, waitForStatus } from "./harness";
import { ScriptedModel, begins, finish, hearing, plans, run, task, write } from "./scripted";

const title = "Two files under comment";
let model: ScriptedModel;

test.beforeAll(async ({ request }) => {
  const edit = (old_text: string, new_text: string) => ({ name: "edit", arguments: { path: "first.txt", edits: [{ old_text, new_text }] } });
  const read = { name: "read", arguments: { path: "first.txt" } };
  model = await ScriptedModel.start(request, [
    plans("Heed these comments", "Comments heeded", [{ name: "Work", tasks: [task("third", "coding", "Heed them", [])] }], ["first.txt"]),
    plans(title, title, [{ name: "Work", tasks: [task("first", "coding", "Make one", []), task("second", "coding", "Make two", ["first"])] }], ["two files"]),
    begins("first", write("first.txt", "one\ntwo\nthree\n"), finish),
    begins("second", write("second.txt", "one\n"), run("echo half way")),
    hearing("Say deux.", read, edit("two", "deux"), finish),
    begins("third", read, edit("three", "trois"), write("third.txt", "one\n"), finish),
  ]);
});

test.afterAll(async ({ request }) => model.end(request));

test.use({ expectedComplaint: /status of 4(09|22)/ });

test("a line is commented, the agent heeds it, and what is said after the end goes into a build that goes on from there", async ({ page, request }) => {
  test.setTimeout(120_000);
  model.hold("Your task is `second`");
  const data = { description: title, target_domain: "cli_tool", constraints: { stack: "described" } };
  const { intent_id: intent } = (await (await request.post("/api/coding_agent/create", { data })).json()) as { intent_id: string };
  await waitForStatus(request, intent, "awaiting_approval", 30_000);
  const { plan_hash } = (await (await request.get(`/api/coding_agent/status/${intent}`)).json()) as { plan_hash: string };
  await request.post(`/api/coding_agent/${intent}/approve`, { data: { approved: true, plan_hash } });
  await expect.poll(async () => (await request.get(`/api/coding_agent/${intent}/diff`)).status(), { timeout: 30_000 }).toBe(200);

  await open(page, `/builds/${intent}?tab=changes`);
  const file = page.locator(".diff-file").filter({ hasText: "first.txt" });
  await file.locator("[data-new='2']").click();
  const form = page.getByRole("form", { name: "Comment on the lines" });
  await expect(form.getByLabel("What should be otherwise?")).toBeFocused();
  await file.locator("[data-new='3']").click({ modifiers: ["Shift"] });
  await expect(form.getByLabel("From line")).toHaveValue("2");
  await expect(form.getByLabel("to line", { exact: true })).toHaveValue("3");
  await expectNoViolations(page);

  // Wrong: nothing said, and a line that the file does not have; what was typed stays.
  await form.getByRole("button", { name: "Comment" }).click();
  await expect(form).toContainText("Write what should be otherwise.");
  await form.getByLabel("What should be otherwise?").fill("Say deux.");
  await form.getByLabel("to line", { exact: true }).fill("70");
  await form.getByRole("button", { name: "Comment" }).click();
  await expect(form).toContainText("do not show lines 2\u201370");
  await expect(form.getByLabel("What should be otherwise?")).toHaveValue("Say deux.");
  await form.getByLabel("to line", { exact: true }).fill("2");
  await form.getByLabel("What should be otherwise?").press("Control+Enter");
  await expect(form).toBeHidden();
  await expect(toasts(page)).toContainText("The agent reads it before its next step");
  const comment = file.getByRole("article", { name: "Comment on line 2" });
  await expect(comment).toContainText("Say deux.");
  await expect(comment).toContainText("The agent reads it before its next step");
  await expect(file.locator("summary")).toContainText("1 open comment");
  await page.getByRole("button", { name: "Split" }).click();
  await expect(comment).toBeVisible();
  await page.getByRole("button", { name: "Unified" }).click();

  model.letGo("Your task is `second`");
  await waitForStatus(request, intent, "completed", 60_000);
  // The page is told; the lines stay as they were read until the reader wants the newer ones.
  await expect(comment).toContainText(/Resolved by commit [0-9a-f]{10}/);
  await expect(file).toContainText("two");
  await page.getByRole("button", { name: "Newer changes: read again" }).click();
  await expect(file).toContainText("deux");
  await expect(file).toContainText("On lines that have changed or moved since");
  await expectNoViolations(page);

  // With keys alone, after the end.
  await expect(page.getByRole("main")).toContainText("No agent reads comments here any more");
  await file.getByRole("button", { name: "Comment" }).press("Enter");
  await expect(form.getByLabel("What should be otherwise?")).toBeFocused();
  await page.keyboard.type("Go on in French.");
  await page.keyboard.press("Control+Enter");
  await expect(file.getByRole("article", { name: "Comment on line 1" })).toContainText("No agent has read it");
  await comment.getByRole("button", { name: "Open again" }).click();
  await expect(comment).toContainText("No agent has read it");
  await comment.getByRole("button", { name: "Resolve" }).click();
  await expect(comment).toContainText("Resolved by a person");

  await page.getByRole("button", { name: "Go on in a new build" }).click();
  const description = page.getByLabel("What would you like Grace to build?");
  await expect(description).toHaveValue("Heed these comments:\n- `first.txt`, line 1: Go on in French.");
  await expect(page.locator("summary").filter({ hasText: "Artifacts" })).toContainText(intent);
  await page.getByRole("button", { name: "Preview plan" }).click();
  await expect(page.getByRole("region", { name: "Plan preview" })).toContainText("current", { timeout: 30_000 });
  await page.getByRole("button", { name: "Start build" }).click();
  const next = await intentOf(request, "Comments heeded");
  await waitForStatus(request, next, "completed", 60_000);
  const diff = await (await request.get(`/api/coding_agent/${next}/diff`)).text();
  expect(diff).toContain("-three\n+trois");
  expect(diff).toContain(" deux");
  expect(await model.problems(request)).toEqual([]);
});

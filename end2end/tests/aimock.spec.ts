import { LLMock } from "@copilotkit/aimock";

import { addProfile, expect, expectNoViolations, intentOf, open, previewDescribed, test, testedProfile, waitForStatus } from "./harness";

/** What `serve.mjs` gives the server in END2END_KEY; the mock takes no other. */
const key = "a-key-that-only-this-test-knows";
const title = "Median library";
/** The mock counts nothing by itself. */
const usage = { input_tokens: 100, output_tokens: 20 };

const check = "python3 -c 'import median; assert median.median([3, 1, 2]) == 2; print(\"the middle is right\")'";
const plan = {
  title,
  phases: [
    {
      name: "Library",
      tasks: [{ key: "median", title: "Find the middle", stage: "coding", detail: "A function median.", files: ["median.py"], verify: check, minutes: 2 }],
    },
    {
      name: "Tests",
      tasks: [{ key: "tests", title: "Unit tests", stage: "testing", detail: "unittest", files: ["test_median.py"], verify: "python3 -m unittest -v", minutes: 2 }],
    },
  ],
  deliverables: ["median.py", "test_median.py"],
  assumptions: ["Lists of odd length"],
  not_covered: [],
  risks: [],
  questions: [],
  changes: [],
  baseline: "",
};
const wrong = "def median(numbers: list[int]) -> int:\n    return numbers[len(numbers) // 2]\n";
const tests = `import unittest

from median import median


class Middle(unittest.TestCase):
    def test_sorted(self) -> None:
        self.assertEqual(median([1, 2, 3]), 2)

    def test_unsorted(self) -> None:
        self.assertEqual(median([9, 1, 5]), 5)
`;

const call = (name: string, input: object) => ({ name, arguments: JSON.stringify(input) });
const model = new LLMock({ port: 0, auth: { apiKeys: [key] } });

/** A conversation as Anthropic's protocol has it, with two requests that go wrong: one is refused, of one the answer breaks off. */
function script(): void {
  model.on({ userMessage: "from one to ten" }, { content: "one two three four five six seven eight nine ten", usage });
  model.on({ userMessage: "Call the tool `add`" }, { toolCalls: [call("add", { left: 2, right: 3 })], usage });
  model.on({ userMessage: "capital of France" }, { content: JSON.stringify({ city: "Paris" }), usage });
  model.on({ systemMessage: "You plan software projects for Grace" }, { content: JSON.stringify(plan), usage });

  const begin = { userMessage: "Your task is `median`", hasToolResult: false };
  // Longer than the pause that Grace would make by itself before a second try.
  const refusal = { error: { type: "rate_limit_error", message: "Slow down, please." }, status: 429, retryAfter: 2 };
  model.on({ ...begin, sequenceIndex: 0 }, refusal);
  const write = call("write", { path: "median.py", content: wrong });
  model.on({ ...begin, sequenceIndex: 1 }, { content: "The function first, then its check.", toolCalls: [write, call("run", { command: check })], usage });
  const mend = {
    content: "It has to be sorted first.",
    toolCalls: [call("edit", { path: "median.py", edits: [{ old_text: "numbers[", new_text: "sorted(numbers)[" }] }), call("run", { command: check })],
    usage,
  };
  model.on({ toolResultContains: "AssertionError", sequenceIndex: 0 }, mend, { truncateAfterChunks: 5 });
  model.on({ toolResultContains: "AssertionError", sequenceIndex: 1 }, mend);
  model.on({ userMessage: "Your task is `tests`", hasToolResult: false }, { toolCalls: [call("write", { path: "test_median.py", content: tests })], usage });
  model.on({ hasToolResult: true }, { toolCalls: [call("finish", { summary: "It finds the middle." })], usage });
}

test.beforeAll(async () => {
  script();
  await model.start();
});

test.afterAll(async ({ request }) => {
  await model.stop();
  // What else is tested has no model.
  await request.delete("/api/models/aimock");
});

test("a model that is not ours refuses once and breaks off once, and the library is built", async ({ page, request }) => {
  await open(page, "/settings");
  await addProfile(page, "Anthropic", { Name: "aimock", Model: "claude-sonnet-4-5", Address: `${model.url}/v1`, "Variable of the key": "END2END_KEY" });
  const found = await testedProfile(page);
  expect(found).toMatch(/Works.*First words after \d+ ms/s);
  expect(found).toContain("It called the tool that it was told to call.");
  expect(found).toContain("It answered with JSON that fits the schema.");
  expect(found).toContain("It counted 100 tokens of input and 20 of output.");

  const preview = await previewDescribed(page, "A Python library that finds the median of a list, with unit tests.", "library");
  await expect(preview).toContainText("Lists of odd length");
  await page.getByRole("button", { name: "Start build" }).click();
  const intent = await intentOf(request, title);
  const done = await waitForStatus(request, intent, "completed", 40_000);
  expect(done.tests).toMatchObject({ passed: 2, failed: 0, command: "python3 -m unittest -v" });
  expect(done.artifacts_generated.map((file) => file.path)).toEqual(["median.py", "test_median.py"]);

  await open(page, `/builds/${intent}?tab=log`);
  const main = page.getByRole("main");
  await expect(main).toContainText("AssertionError");
  await expect(main).toContainText("the middle is right");
  await open(page, `/builds/${intent}?tab=tests`);
  await expect(main).toContainText("2 passed");
  await open(page, `/builds/${intent}?tab=changes`);
  await expect(main).toContainText("sorted(numbers)[len(numbers) // 2]");
  await open(page, `/builds/${intent}`);
  await expect(main.locator("li[title^='commit ']")).toHaveCount(2);
  await expectNoViolations(page);

  const requests = model.getRequests();
  const answers = requests.map(({ response }) => (response.interrupted ? response.interruptReason : response.status));
  // The connection's test has three requests, the plan one; then come the tasks.
  expect(answers).toEqual([200, 200, 200, 200, 429, 200, "truncateAfterChunks", 200, 200, 200, 200]);
  expect(requests[5]!.timestamp - requests[4]!.timestamp).toBeGreaterThanOrEqual(2_000);
});

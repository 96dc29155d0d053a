import { type ChildProcess } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { type Page } from "@playwright/test";

import { expect, expectNoViolations, intentOf, open, previewDescribed, previewDescribedHere, test, testedProfile, waitForStatus } from "./harness";
import { startProgram, startTurns } from "./scripted";

const root = join(import.meta.dirname, "../..");
const models: ChildProcess[] = [];
let address: string;

/** The address of a model that was started, as a profile wants it; it ends with the tests. */
async function toProfile(started: ReturnType<typeof startProgram>): Promise<string> {
  const { program, address } = await started;
  models.push(program);
  return `${address}v1`;
}

const scriptedBy = (turns: unknown[]) => toProfile(startTurns(turns));

test.beforeAll(async () => {
  address = await toProfile(startProgram(join(root, "end2end/model-script.json")));
});

test.afterAll(async ({ request }) => {
  models.forEach((model) => model.kill());
  // What else is tested has no model.
  await request.delete("/api/models/scripted");
  await request.delete("/api/secrets/MODEL_KEY");
});

async function change(page: Page, fields: Record<string, string>): Promise<void> {
  await page.getByRole("button", { name: "Change scripted" }).click();
  for (const [label, value] of Object.entries(fields)) {
    await page.getByLabel(label, { exact: true }).fill(value);
  }
  await page.getByRole("button", { name: "Save profile" }).click();
  await expect(page.getByRole("dialog")).toBeHidden();
}

test.describe("a model of one's own", () => {
  test.use({ expectedComplaint: /status of 422/ });

  test("from Settings over wrong entries to a library that it builds, asks about, mends and tests", async ({ page, request }) => {
    test.setTimeout(180_000);
    await open(page, "/settings");
    await page.getByRole("button", { name: "Add a profile" }).click();
    await page.getByLabel("Name", { exact: true }).fill("scripted");
    await page.getByLabel("Model", { exact: true }).fill("script-1");
    await page.getByLabel("The key is").selectOption("in an environment variable of the server");
    await page.getByLabel("Variable of the key").fill("sk-pasted-by-mistake");
    await page.getByLabel("Address").fill("not an address");
    await page.getByRole("button", { name: "Save profile" }).click();
    const dialog = page.getByRole("dialog");
    await expect(dialog).toContainText("never the key itself");
    await expect(dialog).toContainText("begins with http");
    await expectNoViolations(page);
    await page.getByLabel("Variable of the key").fill("END2END_WRONG_KEY");
    await page.getByLabel("Address").fill(address);
    await page.getByRole("button", { name: "Save profile" }).click();
    await expect(dialog).toBeHidden();

    // What is wrong is said as such.
    expect(await testedProfile(page)).toMatch(/does not accept the key in END2END_WRONG_KEY/);
    await change(page, { "Variable of the key": "END2END_KEY", Model: "script-9" });
    expect(await testedProfile(page)).toMatch(/has no model .script-9./);
    await change(page, { Model: "script-1", Address: "http://127.0.0.1:9/v1" });
    expect(await testedProfile(page)).toMatch(/Nothing listens at/);
    await change(page, { Address: address });
    expect(await testedProfile(page)).toMatch(/Works.*First words after \d+ ms/s);
    await expectNoViolations(page);

    // The key moves into the vault, over a secret that is not there and a wrong one.
    const row = page.getByRole("region", { name: "Models" }).getByRole("row").filter({ hasText: "script-1" });
    await expect(row).toContainText("END2END_KEY");
    await page.getByRole("button", { name: "Change scripted" }).click();
    await page.getByLabel("The key is").selectOption("in a secret of the vault");
    await page.getByRole("button", { name: "Save profile" }).click();
    await expect(dialog).toContainText("Choose a secret");
    await page.getByLabel("Secret of the key").fill("MODEL_KEY");
    await expect(dialog.getByRole("link", { name: "Add it in another tab" })).toHaveAttribute("href", "/settings?secret=MODEL_KEY#h-secrets");
    await expectNoViolations(page);
    await page.getByRole("button", { name: "Save profile" }).click();
    await expect(dialog).toBeHidden();
    await expect(row).toContainText("No value");
    expect(await testedProfile(page)).toMatch(/“scripted” has no key.*no value for the secret MODEL_KEY/);
    await row.getByRole("link", { name: "Add its value" }).click();
    await expect(dialog.getByLabel("Name", { exact: true })).toHaveValue("MODEL_KEY");
    await dialog.getByLabel("Value", { exact: true }).fill("a-wrong-key-0815");
    await dialog.getByRole("button", { name: "Seal it" }).click();
    await expect(dialog).toBeHidden();
    const refused = await testedProfile(page);
    expect(refused).toMatch(/does not accept the key in the secret MODEL_KEY.*provided: \[secret MODEL_KEY\]/);
    expect(refused).not.toContain("0815");
    const kept = page.getByRole("region", { name: "Secrets" }).getByRole("row").filter({ hasText: "MODEL_KEY" }).first();
    await kept.getByRole("button", { name: "Replace" }).click();
    await dialog.getByLabel("Value", { exact: true }).fill("a-key-that-only-this-test-knows");
    await dialog.getByRole("button", { name: "Seal it" }).click();
    await expect(dialog).toBeHidden();
    await open(page, "/settings");
    await expect(row).toContainText("MODEL_KEY secret");
    await expect(row).not.toContainText("No value");
    await expect(kept).toContainText("key of scripted");
    await kept.getByRole("button", { name: "Delete MODEL_KEY" }).click();
    await expect(dialog).toContainText("It is the key of scripted");
    await page.keyboard.press("Escape");
    expect(await testedProfile(page)).toMatch(/Works/);
    await page.getByRole("button", { name: "Change scripted" }).click();
    await expect(page.getByLabel("Secret of the key")).toHaveValue("MODEL_KEY");
    await expect(dialog).toContainText("The vault has it.");
    await page.keyboard.press("Escape");
    await expectNoViolations(page);

    await open(page, "/");
    await page.getByLabel("What would you like Grace to build?").fill("A Python library that counts words, with unit tests.");
    await page.getByLabel("Target domain").selectOption("library");
    await page.getByLabel("Stack").selectOption("described");
    await page.locator("summary", { hasText: "Limits" }).click();
    await page.getByLabel("Money US dollars").fill("a lot");
    await page.getByLabel("Tokens in and out").fill("300,000");
    await page.getByRole("button", { name: "Preview plan" }).click();
    await expect(page.getByLabel("Money US dollars")).toHaveAttribute("aria-invalid", "true");
    await expect(page.getByLabel("Money US dollars")).toHaveValue("a lot");
    await page.getByLabel("Money US dollars").fill("");
    await page.getByRole("button", { name: "Preview plan" }).click();
    const plan = page.getByRole("region", { name: "Plan preview" });
    await expect(plan).toContainText("Should upper and lower case be told apart?");
    await page.getByRole("button", { name: "Start build" }).click();
    const answer = page.getByRole("complementary", { name: "Co-pilot" }).getByRole("button", { name: /^2\s*No/ });
    await answer.click({ timeout: 30_000 });
    const intent = await intentOf(request, "Word counter library");
    const done = await waitForStatus(request, intent, "completed", 120_000);
    expect(done.tests).toMatchObject({ passed: 2, failed: 0 });
    expect(done.artifacts_generated.map((file) => file.path)).toEqual(["test_wc.py", "wc.py"]);

    await open(page, `/builds/${intent}?tab=log`);
    await expect(page.getByRole("main")).toContainText("mending, round 1");
    await expect(page.getByRole("main")).toContainText(/tokens in \d+ requests/);
    const problems = (await (await request.get(address.replace("/v1", "/__problems"))).json()) as string[];
    expect(problems).toEqual([]);
  });

  test("a command line tool in TypeScript from the form to a patch", async ({ page, request }) => {
    test.setTimeout(240_000);
    type Project = { draft: { description: string }; answer: [string, string]; plan: { title: string }; turns: unknown[] };
    const file = join(root, "crates/engine/tests/engine/projects/typescript.json");
    const project = JSON.parse(await readFile(file, "utf8")) as Project;
    const planning = { when: { has_schema: true }, reply: { text: JSON.stringify(project.plan) } };
    const tool = await scriptedBy([planning, ...project.turns]);
    await open(page, "/settings");
    await change(page, { Address: tool });

    const plan = await previewDescribed(page, project.draft.description, "cli_tool");
    await expect(plan).toContainText(project.answer[0]);
    await page.getByRole("button", { name: "Start build" }).click();
    const answer = page.getByRole("complementary", { name: "Co-pilot" }).getByRole("button", { name: new RegExp(`^\\d\\s*${project.answer[1]}`) });
    await answer.click({ timeout: 30_000 });
    const intent = await intentOf(request, project.plan.title);
    const done = await waitForStatus(request, intent, "completed", 200_000);
    expect(done.tests).toMatchObject({ passed: 3, failed: 0, command: "npm ci --no-audit --no-fund && npm test" });

    await open(page, `/builds/${intent}?tab=artifacts`);
    await expect(page.getByRole("main")).toContainText("tally.test.ts");
    const [patch] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Patch" }).click()]);
    expect(patch.suggestedFilename()).toBe(`${intent}.patch`);
    expect(await readFile(await patch.path(), "utf8")).toContain("Subject: [PATCH 1/3] Write the tool");
    await expectNoViolations(page);
    expect(await (await request.get(tool.replace("/v1", "/__problems"))).json()).toEqual([]);
  });

  test("what is left of a plan is changed while it is built", async ({ page, request }) => {
    test.setTimeout(120_000);
    const task = (key: string, after: string[]) => ({
      key, title: `Make ${key}`, stage: "coding", detail: "As said.", files: [], after, verify: `test -e ${key}.txt`, minutes: 1,
    });
    const plan = (tasks: unknown[], changes: unknown[]) => ({
      reply: {
        text: JSON.stringify({
          title: "Files in a line", phases: [{ name: "Work", tasks }], deliverables: ["files"], assumptions: [], not_covered: [], risks: [],
          questions: [], changes,
        }),
      },
    });
    const write = (key: string) => ({ name: "write", arguments: { path: `${key}.txt`, content: "x\n" } });
    const finish = { name: "finish", arguments: { summary: "Done." } };
    const does = (key: string) => ({ when: { last_contains: `Your task is \`${key}\`` }, reply: { calls: [write(key), finish] } });
    const options = [{ label: "Yes", consequence: "on" }, { label: "No", consequence: "off" }];
    const question = { question: "Is second right?", default: "Yes", default_reason: "It is usual.", options };
    const line = await scriptedBy([
      {
        when: { has_schema: true, last_contains: "wants what is left changed" },
        ...plan([task("third", ["second"]), task("fourth", ["third"])], [{ applied: true, outcome: "One task more." }]),
      },
      { when: { has_schema: true }, ...plan([task("first", []), task("second", ["first"]), task("third", ["second"])], []) },
      { ...does("second"), reply: { calls: [write("second"), { name: "ask_person", arguments: question }] } },
      { when: { last_contains: "The person answered: Yes" }, reply: { calls: [finish] } },
      ...["first", "third", "fourth"].map(does),
    ]);
    await open(page, "/settings");
    await change(page, { Address: line });
    await previewDescribed(page, "Files, one after another.", "cli_tool");
    await page.getByRole("button", { name: "Start build" }).click();
    const intent = await intentOf(request, "Files in a line");
    await waitForStatus(request, intent, "awaiting_review", 30_000);

    // In words, and then not after all.
    await open(page, `/builds/${intent}?tab=plan`);
    const main = page.getByRole("main");
    await main.getByRole("link", { name: "Change in words" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("textbox").fill("A fourth file.");
    await expectNoViolations(page);
    await dialog.getByRole("button", { name: "Change plan" }).click();
    await expect(main).toContainText("Revision 2", { timeout: 15_000 });
    await expect(main).toContainText("Nothing else begins until you approve");
    await expect(main).toContainText("Make fourth");
    await expectNoViolations(page);
    await main.getByRole("button", { name: "Go on as before" }).click();
    await expect(main).toContainText("rejected");

    // By hand: the last task by another one, over a task that it cannot come after.
    await main.getByRole("button", { name: "Change what is left" }).click();
    const editor = page.getByRole("form", { name: "Change what is left of the plan" });
    await expect(editor.getByRole("list").first()).toContainText(/Make first.*is done.*Make second.*waits for an answer/s);
    await editor.getByLabel(/^Task third/).fill("Instead");
    await editor.getByLabel("Comes after: keys, with commas").fill("none");
    await editor.getByRole("button", { name: "Save as a revision" }).click();
    await expect(editor).toContainText("`none` is the key of no task");
    await expectNoViolations(page);
    await editor.getByLabel("Comes after: keys, with commas").fill("second");
    await editor.getByRole("button", { name: "Save as a revision" }).click();
    await expect(editor).toBeHidden();
    await expect(main).toContainText("Revision 3");
    await main.getByRole("button", { name: "Approve", exact: true }).first().click();
    await page.getByRole("complementary", { name: "Co-pilot" }).getByRole("button", { name: /^\d\s*Yes/ }).click();
    const done = await waitForStatus(request, intent, "completed", 60_000);
    expect(done.tasks.map(({ key, state }) => `${key} ${state}`)).toEqual(["first done", "second done", "third done"]);
    await open(page, `/builds/${intent}?tab=plan`);
    await expect(main).toContainText("Instead");
    await expect(main).toContainText("rejected");
    expect(await (await request.get(line.replace("/v1", "/__problems"))).json()).toEqual([]);
  });

  test("a command that a person is asked about, words for the agent, and the kernels' consoles", async ({ page, request }) => {
    test.setTimeout(90_000);
    const task = { key: "pack", title: "Pack it", stage: "coding", detail: "As said.", files: [], after: [], verify: "test -e packed", minutes: 1 };
    const plan = {
      title: "Packed package", phases: [{ name: "Work", tasks: [task] }], deliverables: ["a package"], assumptions: [], not_covered: [], risks: [],
      questions: [], changes: [],
    };
    const run = (command: string) => ({ name: "run", arguments: { command } });
    const when = (last_contains: string) => ({ last_contains });
    const line = await scriptedBy([
      { when: { has_schema: true }, reply: { text: JSON.stringify(plan) } },
      { when: when("Your task is `pack`"), reply: { calls: [run("touch packed && git push origin HEAD")] } },
      // What was said while it waited comes after the answer.
      { when: when("The person says: Use four spaces"), reply: { calls: [run("touch packed; echo in a box")] } },
      { when: when("exit code 0"), reply: { calls: [{ name: "finish", arguments: { summary: "Packed." } }] } },
      { when: {}, reply: { calls: [run("npm publish")] } },
    ]);
    await open(page, "/settings");
    await change(page, { Address: line });
    await open(page, "/");
    await page.getByRole("button", { name: "Console of Coding Agent" }).click();
    const console = page.getByRole("region", { name: "Console of Coding Agent" });
    await expect(console).toContainText("Nothing since");
    await previewDescribedHere(page, "A package that is packed and published.", "cli_tool");
    await page.getByRole("button", { name: "Start build" }).click();
    const intent = await intentOf(request, plan.title);
    await waitForStatus(request, intent, "awaiting_review", 30_000);

    // The console told it as it came; held, it stays as it is, and one build can be looked at alone.
    await expect(console).toContainText(/Not run: .*git push origin HEAD/);
    await expect(console).toContainText("Wants to run `npm publish`");
    const choice = page.getByRole("combobox", { name: "Builds in the console of Coding Agent" });
    await choice.selectOption(intent);
    await page.getByRole("button", { name: "Live", exact: true }).click();
    const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Export", exact: true }).click()]);
    expect(file.suggestedFilename()).toBe("coding-agent-console.txt");
    expect(await readFile(await file.path(), "utf8")).toContain(`[${intent}] Wants to run`);
    await expect(page.getByRole("link", { name: "View artifacts" })).toHaveAttribute("href", `/builds/${intent}?tab=artifacts`);
    await expect(page.getByRole("button", { name: "Stop build" })).toBeEnabled();
    await expectNoViolations(page);

    // From the detail dialog to the agent: what neither asks nor commands is for it.
    const copilot = page.getByRole("complementary", { name: "Co-pilot" });
    await expect(copilot).toContainText("npm publish");
    await page.getByRole("row").filter({ hasText: plan.title }).getByRole("link", { name: "View" }).first().click();
    await page.getByRole("dialog").getByRole("button", { name: "Chat with agent" }).click();
    const field = page.getByLabel("Message to Grace");
    await expect(field).toBeFocused();
    await expect(field).toHaveAttribute("placeholder", `Ask about ${intent}, or tell its agent`);
    await field.fill("Use four spaces, and stop using tabs.");
    await field.press("Enter");
    await expect(page.getByRole("log", { name: "Chat" })).toContainText(`${intent}: Noted. The agent reads it before its next step.`);
    await copilot.getByRole("button", { name: /^\d\s*Refuse/ }).click();
    const done = await waitForStatus(request, intent, "completed", 60_000);
    expect(done.tasks.map(({ key, state }) => `${key} ${state}`)).toEqual(["pack done"]);
    const said = await (await request.get(`/api/coding_agent/${intent}/trajectory.jsonl`)).text();
    expect(said).toContain("Use four spaces, and stop using tabs.");
    await expect(console).not.toContainText("in a box");
    await page.getByRole("button", { name: "Live", exact: true }).click();
    await expect(console).toContainText("in a box");
    // Nobody knows how to start what it made.
    await open(page, `/builds/${intent}?tab=deployments`);
    await expect(page.getByRole("main").getByRole("button", { name: "Deploy" }).first()).toBeDisabled();
    await expect(page.getByRole("main")).toContainText("How to start what a model built, it does not");
    expect(await (await request.get(line.replace("/v1", "/__problems"))).json()).toEqual([]);
  });

  test("a description said in the chat becomes a plan, and what no record says, the model answers", async ({ page, request }) => {
    const line = await scriptedBy([
      { when: { last_contains: "may also have a colour" }, reply: { text: "Its table and its form:\n```\nsrc/drawer.py\n  def fields\n```\nNothing else." } },
    ]);
    await open(page, "/settings");
    await change(page, { Address: line });
    await open(page, "/");
    const copilot = page.getByRole("complementary", { name: "Co-pilot" });
    await expect(copilot.getByText("facts, then a model")).toBeVisible();
    const field = page.getByLabel("Message to Grace");
    const chat = page.getByRole("log", { name: "Chat" });
    await field.fill("Build a catalogue: Drawer has name and depth.");
    await field.press("Enter");
    await expect(chat).toContainText(/I make a plan for int-code-\d+, “Drawer/);
    const plan = chat.getByRole("link", { name: "Open the plan" });
    const intent = /int-code-\d+/.exec((await plan.getAttribute("href")) ?? "")?.[0] ?? "";
    await field.fill("Which of its files would have to change so that drawers may also have a colour?");
    await field.press("Enter");
    await expect(chat.locator("pre")).toHaveText("src/drawer.py\n  def fields");
    await expect(chat).toContainText("A model, ");
    await expectNoViolations(page);
    await plan.click();
    await expect(page).toHaveURL(new RegExp(`/builds/${intent}\\?tab=plan`));
    // Over a reload it is still told apart from what the records say; the build has paid for it.
    await open(page, `/builds/${intent}?tab=cost`);
    await expect(chat).toContainText("A model, ");
    await expect(page.getByRole("main")).toContainText("1 request");
    await request.post(`/api/coding_agent/${intent}/stop`, { data: {} });
    expect(await (await request.get(line.replace("/v1", "/__problems"))).json()).toEqual([]);
  });
});

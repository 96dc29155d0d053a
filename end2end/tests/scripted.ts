import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, request as ask, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { buffer } from "node:stream/consumers";

import { type APIRequestContext } from "@playwright/test";

import { expect, waitForStatus } from "./harness";

const profile = "scripted";

/** Starts the program that answers by the script in a file; its address ends with a slash. */
export async function startProgram(script: string): Promise<{ program: ChildProcess; address: string }> {
  const path = process.env["GRACE_SCRIPT_MODEL"] ?? join(import.meta.dirname, "../../target/debug/script-model");
  const program = spawn(path, ["--port", "0", "--script", script], { stdio: ["ignore", "pipe", "inherit"] });
  const [address] = (await once(createInterface({ input: program.stdout }), "line")) as [string];
  return { program, address };
}

/** The same with a script that is made here. */
export async function startTurns(turns: unknown[]): ReturnType<typeof startProgram> {
  const folder = await mkdtemp(join(tmpdir(), "grace-script-"));
  await writeFile(join(folder, "script.json"), JSON.stringify({ turns }));
  const started = await startProgram(join(folder, "script.json"));
  await rm(folder, { recursive: true });
  return started;
}

/** A model that says what a script tells it to, as the only one that Grace has; and that can be kept waiting, so that what goes on meanwhile stays so. */
export class ScriptedModel {
  private readonly held = new Map<string, { wait: Promise<void>; go: () => void }>();
  private readonly gate: Server = createServer((came, answer) => void this.pass(came, answer));

  private constructor(
    private readonly program: ChildProcess,
    private readonly address: string,
  ) {}

  static async start(request: APIRequestContext, turns: unknown[]): Promise<ScriptedModel> {
    const { program, address } = await startTurns(turns);
    const model = new ScriptedModel(program, address);
    await once(model.gate.listen(0, "127.0.0.1"), "listening");
    const { port } = model.gate.address() as AddressInfo;
    const saved = await request.post("/api/models", {
      data: { name: profile, provider: "openai", model: "script-1", base_url: `http://127.0.0.1:${port}/v1` },
    });
    expect(saved.ok(), await saved.text()).toBe(true);
    return model;
  }

  /** Keeps every request waiting that ends with a message with these words, until they are let go. */
  hold(words: string): void {
    let go = () => {};
    const wait = new Promise<void>((resolve) => (go = resolve));
    this.held.set(words, { wait, go });
  }

  letGo(words: string): void {
    this.held.get(words)?.go();
    this.held.delete(words);
  }

  private async pass(came: IncomingMessage, answer: ServerResponse): Promise<void> {
    const body = await buffer(came);
    const { messages } = JSON.parse(body.toString()) as { messages: { content: unknown }[] };
    const last = JSON.stringify(messages.at(-1)?.content ?? "");
    for (const [words, { wait }] of this.held) {
      if (last.includes(words)) {
        await wait;
      }
    }
    const onward = ask(new URL(came.url ?? "", this.address), { method: came.method ?? "POST", headers: came.headers }, (said) => {
      answer.writeHead(said.statusCode ?? 502, said.headers);
      said.pipe(answer);
    });
    // Grace may have given the request up meanwhile.
    onward.on("error", () => answer.destroy());
    onward.end(body);
  }

  /** What a real provider would have refused of the requests that came. */
  async problems(request: APIRequestContext): Promise<string[]> {
    return (await (await request.get(`${this.address}__problems`)).json()) as string[];
  }

  /** Ends it; what else is tested has no model. */
  async end(request: APIRequestContext): Promise<void> {
    for (const words of this.held.keys()) {
      this.letGo(words);
    }
    await request.delete(`/api/models/${profile}`);
    this.gate.close();
    this.gate.closeAllConnections();
    this.program.kill();
  }
}

export type Call = { name: string; arguments: object };
export const write = (path: string, content: string): Call => ({ name: "write", arguments: { path, content } });
export const run = (command: string): Call => ({ name: "run", arguments: { command } });
export const finish: Call = { name: "finish", arguments: { summary: "Done." } };

/** A planned task; `after` are the keys of those that must be done before. */
export const task = (key: string, stage: string, title: string, after: string[], minutes = 1) => ({
  key, stage, title, detail: "As said.", files: [], after, verify: `test -e ${key}.txt`, minutes,
});

/** The answer to a request for a plan, of a request that ends with these words. */
export const plans = (last_contains: string, title: string, phases: { name: string; tasks: ReturnType<typeof task>[] }[], deliverables: string[]) => ({
  when: { has_schema: true, last_contains },
  reply: { text: JSON.stringify({ title, phases, deliverables, assumptions: [], not_covered: [], risks: [], questions: [], changes: [] }) },
});

/** The same with one task and a question. */
export const asking = (last_contains: string, title: string, text: string, options: string[]) => {
  const question = { key: "question", text, options: options.map((label) => ({ label, consequence: `It is ${label}.` })), default: options[0], default_reason: "It is the first." };
  const phases = [{ name: title, tasks: [task("part", "coding", title, [])] }];
  return {
    when: { has_schema: true, last_contains },
    reply: { text: JSON.stringify({ title, phases, deliverables: [title], assumptions: [], not_covered: [], risks: [], questions: [question], changes: [] }) },
  };
};

/** What the model does when the last it was told has these words in it. */
export const hearing = (last_contains: string, ...calls: Call[]) => ({ when: { last_contains }, reply: { calls } });
/** What it does when that task begins. */
export const begins = (key: string, ...calls: Call[]) => hearing(`Your task is \`${key}\``, ...calls);

/** A plan through all stages that a model plans, each task of which makes a file of its name; `second` says "half way" when its file is written. */
export const line = (title: string) => [
  plans(
    title,
    title,
    [
      { name: "Design", tasks: [task("sketch", "designing", "Make the sketch", [])] },
      { name: "Backend", tasks: [task("first", "coding", "Make the first part", ["sketch"], 2), task("second", "coding", "Make the second part", ["first"])] },
      { name: "Checks", tasks: [task("checks", "testing", "Make the checks", ["second"])] },
      { name: "Guide", tasks: [task("guide", "documenting", "Make the guide", ["checks"])] },
    ],
    ["five files"],
  ),
  begins("sketch", write("sketch.txt", "one\ntwo\n"), finish),
  // What is forbidden is not run, and the log warns of it.
  begins("first", write("first.txt", "one\ntwo\nthree\n"), run("git push origin HEAD"), run("echo counted"), finish),
  begins("second", write("second.txt", "one\n"), run("echo half way")),
  hearing("half way", finish),
  begins("checks", write("checks.txt", "one\n"), finish),
  begins("guide", write("guide.txt", "one\n"), finish),
];

/** Creates the build of such a plan, whose tasks wait to be let go, and starts it. */
export async function startLine(request: APIRequestContext, model: ScriptedModel, title: string): Promise<string> {
  ["sketch", "first", "second", "checks", "guide"].forEach((key) => model.hold(`Your task is \`${key}\``));
  const data = { description: title, target_domain: "cli_tool", constraints: { stack: "described" } };
  const { intent_id: intent } = (await (await request.post("/api/coding_agent/create", { data })).json()) as { intent_id: string };
  await waitForStatus(request, intent, "awaiting_approval", 30_000);
  const { plan_hash } = (await (await request.get(`/api/coding_agent/status/${intent}`)).json()) as { plan_hash: string };
  expect((await request.post(`/api/coding_agent/${intent}/approve`, { data: { approved: true, plan_hash } })).status()).toBe(200);
  return intent;
}

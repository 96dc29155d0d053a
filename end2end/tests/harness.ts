import AxeBuilder from "@axe-core/playwright";
import { test as base, expect, type APIRequestContext, type Locator, type Page, type Response } from "@playwright/test";

/** The specification's chat example, word for word. */
export const chatDescription =
  "Build a real-time chat feature with WebSocket support, user authentication, and message persistence to PostgreSQL database. " +
  "Include React frontend and FastAPI backend with comprehensive tests.";

/** Every page fails its test when the console says anything or something is thrown: a hydration mismatch is otherwise silent. */
export const test = base.extend<{ cleanConsole: void; expectedComplaint: RegExp | null }>({
  // The browser itself reports every refused request; a test of wrong input names the one that it provokes.
  expectedComplaint: [null, { option: true }],
  cleanConsole: [
    async ({ page, expectedComplaint }, use) => {
      const complaints: string[] = [];
      page.on("console", (message) => {
        const expected = expectedComplaint?.test(message.text()) ?? false;
        if ((message.type() === "error" || message.type() === "warning") && !expected) {
          complaints.push(`${message.type()}: ${message.text()}`);
        }
      });
      page.on("pageerror", (error) => complaints.push(`thrown: ${error.message}`));
      await use();
      expect(complaints).toEqual([]);
    },
    { auto: true },
  ],
});

export { expect };

/**
 * Opens a page of Grace and waits until the browser half has taken it over: a page that is left before that has its loading ended by the
 * browser, and says so on the console.
 */
export async function open(page: Page, path: string): Promise<Response | null> {
  const answer = await page.goto(path);
  await expect(page.locator(".connection")).toContainText("Live", { timeout: 30_000 });
  return answer;
}

export async function expectNoViolations(page: Page): Promise<void> {
  // In the page itself: otherwise all that was looked at, not only what was found, travels to another page and back, which takes most of
  // the time of a long one. Only frames of other origins would be passed over, and there are none.
  const { violations } = await new AxeBuilder({ page }).setLegacyMode().options({ resultTypes: ["violations"] }).analyze();
  const found = violations.map(({ id, help, nodes }) => `${id}: ${help} at ${nodes.map((node) => node.target.join(" ")).join(", ")}`);
  expect(found).toEqual([]);
}

export type Status = {
  status: string;
  failure: string | null;
  progress_percent: number;
  approval_needed: { review_id: string } | null;
  tasks: { key: string; state: string }[];
  tests: { passed: number; failed: number; coverage_percent?: number; command: string } | null;
  artifacts_generated: { type: string; path: string; lines: number }[];
};

export async function statusOf(request: APIRequestContext, intent: string): Promise<Status> {
  const answer = await request.get(`/api/coding_agent/status/${intent}`);
  expect(answer.status()).toBe(200);
  return (await answer.json()) as Status;
}

/** Waits until the build has that status; a failed build ends the waiting with its reason. */
export async function waitForStatus(request: APIRequestContext, intent: string, wanted: string, timeout: number): Promise<Status> {
  await expect
    .poll(
      async () => {
        const { status, failure } = await statusOf(request, intent);
        expect(failure, `${intent} failed`).toBeNull();
        return status;
      },
      { timeout, intervals: [250] },
    )
    .toBe(wanted);
  return statusOf(request, intent);
}

/** Adds a model profile in Settings; `fields` by their labels. */
export async function addProfile(page: Page, protocol: string, fields: Record<string, string>): Promise<void> {
  await page.getByRole("button", { name: "Add a profile" }).click();
  await page.getByLabel("Protocol", { exact: true }).selectOption({ label: protocol });
  if ("Variable of the key" in fields) {
    await page.getByLabel("The key is").selectOption("in an environment variable of the server");
  }
  for (const [label, value] of Object.entries(fields)) {
    await page.getByLabel(label, { exact: true }).fill(value);
  }
  await page.getByRole("button", { name: "Save profile" }).click();
  await expect(page.getByRole("dialog")).toBeHidden();
}

/** Tests the only model profile there is; what Settings says of it then. */
export async function testedProfile(page: Page): Promise<string> {
  await page.getByRole("button", { name: "Test", exact: true }).click();
  const found = page.locator("tr.found");
  await expect(found).toBeVisible();
  return found.innerText();
}

/** Describes a build for the model agent in the home page's form and asks for its plan. */
export async function previewDescribed(page: Page, description: string, domain: string): Promise<Locator> {
  await open(page, "/");
  return previewDescribedHere(page, description, domain);
}

/** The same on the home page as it stands. */
export async function previewDescribedHere(page: Page, description: string, domain: string): Promise<Locator> {
  await page.getByLabel("What would you like Grace to build?").fill(description);
  await page.getByLabel("Target domain").selectOption(domain);
  await page.getByLabel("Stack").selectOption("described");
  await page.getByRole("button", { name: "Preview plan" }).click();
  return page.getByRole("region", { name: "Plan preview" });
}

/** The id of the active build of that title; waits until there is one. */
export async function intentOf(request: APIRequestContext, title: string): Promise<string> {
  const find = async (): Promise<string | undefined> => {
    const answer = await request.get("/api/coding_agent/active");
    const { builds } = (await answer.json()) as { builds: { intent_id: string; title: string }[] };
    return builds.find((build) => build.title === title)?.intent_id;
  };
  await expect.poll(find, { intervals: [100] }).toBeTruthy();
  return (await find()) ?? "";
}

/** A request that the blueprint agent builds within seconds: it has no tests, documents or pages. */
export const small = {
  target_domain: "api",
  constraints: { stack: "fastapi", environments: ["development", "staging", "production"] },
  options: { generate_tests: false, generate_docs: false },
};

export type Planned = {
  intent: string;
  hash: string;
  title: string;
  plan: { phases: { name: string; tasks: { title: string }[] }[]; deliverables: string[] };
};

/** Has a plan made over REST, which then waits for approval. */
export async function planned(request: APIRequestContext, description: string, more: object = small): Promise<Planned> {
  const answer = await request.post("/api/coding_agent/create", { data: { description, ...more } });
  expect(answer.status()).toBe(201);
  const made = (await answer.json()) as { intent_id: string; plan_hash: string; plan: Planned["plan"] & { title: string } };
  return { intent: made.intent_id, hash: made.plan_hash, title: made.plan.title, plan: made.plan };
}

/** The same, and approves it. */
export async function approved(request: APIRequestContext, description: string, more: object = small): Promise<Planned> {
  const made = await planned(request, description, more);
  const answer = await request.post(`/api/coding_agent/${made.intent}/approve`, { data: { approved: true, plan_hash: made.hash } });
  expect(answer.status()).toBe(200);
  return made;
}

/** Adds the profile of a model that speaks Anthropic's protocol and takes the key in END2END_KEY, over REST. */
export async function addModel(request: APIRequestContext, name: string, address: string): Promise<void> {
  const key = { key_variable: "END2END_KEY", context_tokens: 100_000 };
  const profile = { name, provider: "anthropic", base_url: address, model: "claude-sonnet-4-5", ...key };
  expect((await request.post("/api/models", { data: profile })).status()).toBe(201);
}

/** Messages of the co-pilot under that heading. */
export function messagesOf(page: Page, heading: string | RegExp): Locator {
  const notifications = page.getByRole("complementary", { name: "Co-pilot" }).getByRole("region", { name: "Notifications" });
  return notifications.getByRole("listitem").filter({ has: page.getByRole("heading", { name: heading }) });
}

/** The corner in which answers appear for some seconds. */
export function toasts(page: Page): Locator {
  return page.locator(".toasts");
}

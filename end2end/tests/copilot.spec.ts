import { type APIRequestContext, type Page } from "@playwright/test";

import { approved, expect, expectNoViolations, messagesOf, open, planned, small, statusOf, test, toasts, waitForStatus } from "./harness";

const copilotOf = (page: Page) => page.getByRole("complementary", { name: "Co-pilot" });
const stop = (request: APIRequestContext, intent: string) => request.post(`/api/coding_agent/${intent}/stop`);

type Asked = {
  revision: number;
  reviews: { review_id: string; question: string; answer: string | null; decided_by_grace: boolean }[];
  tasks: { key: string; state: string }[];
};
const asked = async (request: APIRequestContext, intent: string) =>
  (await (await request.get(`/api/coding_agent/status/${intent}`)).json()) as Asked;

test("a plan that waits is told of with what it holds, and is started, changed or turned down from there", async ({ page, request }) => {
  await open(page, "/tasks");
  const notifications = copilotOf(page).getByRole("region", { name: "Notifications" });
  const waiting = async () => Number(/(\d+) needs? you/.exec(await notifications.innerText())?.[1] ?? 0);
  await expect(notifications.getByRole("heading", { name: "Notifications" })).toBeVisible();
  const before = await waiting();
  // They come without a reload.
  const kept = await planned(request, "Lantern has wick and oil.", {});
  const dropped = await planned(request, "Bellows has length and colour.");
  const message = messagesOf(page, `Plan ready: ${kept.title}`);
  const other = messagesOf(page, `Plan ready: ${dropped.title}`);
  await expect(message).toBeVisible();
  await expect(other).toBeVisible();
  await expect.poll(waiting).toBe(before + 2);

  const tasks = kept.plan.phases.flatMap((phase) => phase.tasks).length;
  const names = kept.plan.phases.map((phase) => phase.name.toLowerCase()).join(", ");
  await expect(message).toContainText(`${tasks} tasks in ${kept.plan.phases.length} phases (${names}), about `);
  await expect(message).toContainText(/about \d+ (s|min( \d+ s)?)\./);
  await expect(message).toContainText("The plan includes");
  await expect(message.locator("time").first()).toHaveText(/^(now|\d+ s)$/);
  expect(kept.plan.deliverables.length).toBeGreaterThan(5);
  await expect(message.getByText(kept.plan.deliverables[5]!)).toBeHidden();
  await message.getByText(/^\d more$/).click();
  for (const deliverable of kept.plan.deliverables.slice(0, 6)) {
    await expect(message.getByText(deliverable)).toBeVisible();
  }
  await expectNoViolations(page);

  // What is changed waits again, as another revision.
  await message.getByRole("link", { name: "Modify plan" }).click();
  const dialog = page.getByRole("dialog");
  await expect(dialog.getByRole("heading", { name: `Modify the plan of ${kept.title}`, exact: true })).toBeVisible();
  await dialog.getByRole("textbox").fill("Add field height to Lantern");
  await dialog.getByRole("button", { name: "Change plan" }).click();
  await expect(dialog).toBeHidden();
  await expect.poll(async () => (await asked(request, kept.intent)).revision).toBe(2);
  expect((await statusOf(request, kept.intent)).status).toBe("awaiting_approval");

  await other.getByRole("button", { name: "Cancel" }).click();
  await waitForStatus(request, dropped.intent, "stopped", 15_000);
  await expect(other).toHaveCount(0);
  await expect.poll(waiting).toBe(before + 1);

  await message.getByRole("button", { name: "Approve & start" }).click();
  await expect(toasts(page)).toContainText("Execution started");
  await expect.poll(async () => (await asked(request, kept.intent)).tasks.some((task) => task.state === "done")).toBe(true);
  await expect(message).toHaveCount(0);
  await expect.poll(waiting).toBe(before);
  await stop(request, kept.intent);
});

test("a question is put with what each answer means, and is answered by its button or left to Grace", async ({ page, request }) => {
  await open(page, "/operations");
  const answers = [
    { description: "Sextant has scale and year. Users sign in.", button: /^2\s*Sessions/, answer: "Sessions", byGrace: false },
    { description: "Astrolabe has scale and year. Users sign in.", button: /^3\s*OAuth/, answer: "OAuth", byGrace: false },
    { description: "Compass has scale and year. Users sign in.", button: /^4\s*Let Grace decide/, answer: "JWT", byGrace: true },
  ];
  for (const { description, button, answer, byGrace } of answers) {
    await test.step(answer, async () => {
      const { intent, title } = await approved(request, description);
      const message = messagesOf(page, `${title} needs your input`);
      await expect(message).toContainText("How should people sign in?");
      await expect(message).toContainText("Options");
      await expect(message).toContainText("needs this to go on; other tasks go on meanwhile");
      const options = message.getByRole("group", { name: "How should people sign in?" });
      await expect(options.getByRole("button", { name: "JWT a token that pages and programs send" })).toBeEnabled();
      await expect(options.getByRole("button", { name: "Sessions a cookie and a row on the server" })).toBeEnabled();
      await expect(options.getByRole("button", { name: "OAuth your identity provider keeps the passwords" })).toBeEnabled();
      await expect(options.getByRole("button", { name: "Let Grace decide Would pick JWT: It serves" })).toBeEnabled();
      await expect(message.getByRole("link", { name: "Open" })).toHaveAttribute("href", `/builds/${intent}?tab=reviews`);

      await options.getByRole("button", { name: button }).click();
      await expect(toasts(page)).toContainText(`Answered: ${answer}.`);
      await expect(message).toHaveCount(0);
      const { reviews } = await asked(request, intent);
      expect(reviews.map((review) => [review.answer, review.decided_by_grace])).toEqual([[answer, byGrace]]);
      await expect.poll(async () => (await asked(request, intent)).tasks.find((task) => task.key === "design.authentication")?.state).toBe("done");
      await stop(request, intent);
    });
  }
});

test("a review that is asked for over REST comes into the co-pilot, leads to the build and is answered there in words", async ({ page, request }) => {
  await open(page, "/analytics");
  const { intent, title } = await planned(request, "Quill has length and colour.");
  const ask = (data: object) => request.post(`/api/coding_agent/${intent}/request_review`, { data });
  const context = "The feathers are measured by hand.";
  const artifacts = ["backend/app/main.py"];
  const code = { review_type: "code_review", question: "Is this file right?", context, artifacts, options: ["Right", "Wrong"] };
  expect((await ask(code)).status()).toBe(201);
  const message = messagesOf(page, `${title} needs your input`);
  await expect(message).toContainText("Is this file right?");
  await expect(message).toContainText(context);
  await message.getByRole("link", { name: "Answer in words" }).click();
  await expect(page).toHaveURL(`/builds/${intent}?tab=reviews`);
  const main = page.getByRole("main");
  const review = main.locator(".review-open").filter({ hasText: "Is this file right?" });
  await expect(review).toContainText(context);
  const file = review.getByRole("link", { name: "backend/app/main.py" });
  await expect(file).toHaveAttribute("href", `/builds/${intent}?tab=artifacts&file=backend/app/main.py`);
  await expect(review.getByRole("group", { name: "Is this file right?" }).getByRole("button", { name: /Wrong/ })).toBeEnabled();
  await expectNoViolations(page);
  await review.getByRole("textbox", { name: "Answer in words" }).fill("Right, but for its name.");
  await review.getByRole("button", { name: "Answer", exact: true }).click();
  await expect(review).toHaveCount(0);
  await expect(main).toContainText("Is this file right? Right, but for its name.");
  await expect(message).toHaveCount(0);

  expect((await ask({ review_type: "help", question: "Which feather comes first?" })).status()).toBe(201);
  const help = messagesOf(page, `${title}: help was asked for`);
  await expect(help).toContainText("Which feather comes first?");
  await stop(request, intent);
  await expect(help).toHaveCount(0);
});

test("quick actions lead to the form, the builds, the retrospectives and the dialog that deploys all", async ({ page }) => {
  await open(page, "/settings");
  const copilot = copilotOf(page);
  await expect(copilot.getByRole("heading", { name: "Quick actions" })).toBeVisible();
  await copilot.getByRole("button", { name: "New build" }).click();
  await expect(page.getByLabel("What would you like Grace to build?")).toBeFocused();
  expect(new URL(page.url()).pathname).toBe("/");
  await copilot.getByRole("button", { name: "View plans" }).click();
  await expect(page).toHaveURL(/\/#active-builds$/);
  await expect(page.getByRole("heading", { name: "Active builds" })).toBeInViewport();
  await copilot.getByRole("button", { name: "Review" }).click();
  await expect(page).toHaveURL(/\/#retrospectives$/);
  await expect(page.getByRole("heading", { name: "Learning retrospectives" })).toBeInViewport();
  await copilot.getByRole("button", { name: "Deploy all" }).click();
  const dialog = page.getByRole("dialog", { name: "Deploy all that is ready" });
  await expect(dialog).toContainText(/No build is ready|Each goes to the first environment/);
  await dialog.getByRole("button", { name: "Not now" }).click();
  await expect(dialog).toBeHidden();
});

test("the chat answers from records with where they are from, carries out a command and is kept over a reload", async ({ page, request }) => {
  const { intent, title, plan } = await planned(request, "Kettle has volume and colour.", small);
  await open(page, "/operations");
  const chat = copilotOf(page).getByRole("log", { name: "Chat" });
  await expect(chat.getByRole("heading", { name: /^Chat/ })).toBeVisible();
  const field = page.getByLabel("Message to Grace");
  const send = page.getByRole("button", { name: "Send" });
  await expect(send).toBeDisabled();
  await field.fill(`How far is ${intent}?`);
  await send.click();
  const answers = chat.locator(".msg-grace");
  await expect(answers.last()).toContainText(`${title} is awaiting approval, 10 % (Planning). 0 of 0 tasks done.`);
  await expect(field).toHaveValue("");
  await expect(answers.last().getByRole("link", { name: "overview" })).toHaveAttribute("href", `/builds/${intent}?tab=overview`);
  await answers.last().getByRole("link", { name: "Open the plan" }).click();
  await expect(page).toHaveURL(`/builds/${intent}?tab=plan`);

  // The build is meant from here on without its name, until the chat is turned away from it.
  await expect(field).toHaveAttribute("placeholder", `Ask about ${intent}, or tell its agent`);
  await field.fill("What is the plan?");
  await field.press("Enter");
  await expect(answers.last()).toContainText(`Revision 1: ${plan.phases[0]!.name} (0 of`);
  await field.fill("stop");
  await field.press("Enter");
  await waitForStatus(request, intent, "stopped", 15_000);
  await expect(chat.getByText("stop", { exact: true })).toBeVisible();
  await expectNoViolations(page);
  await chat.getByRole("button", { name: intent }).click();
  await expect(field).toHaveAttribute("placeholder", "Ask about a build, or give a command");
  await field.fill("sing me a song");
  await field.press("Enter");
  await expect(answers.last()).toContainText("I answer without a model");

  await open(page, "/");
  await expect(chat).toContainText(`How far is ${intent}?`);
  await expect(answers.last()).toContainText("I answer without a model");
});

import { type Locator, type Page } from "@playwright/test";

import { expect, expectNoViolations, intentOf, messagesOf, open, statusOf, test, waitForStatus } from "./harness";

/** How a person works the page. */
type Hands = {
  /** Goes to what can be pressed and presses it. */
  press: (what: Locator) => Promise<void>;
  /** Goes to a field and fills it. */
  fill: (field: Locator, text: string) => Promise<void>;
  choose: (list: Locator, label: string) => Promise<void>;
  /** Shows the co-pilot where it is not on the screen, and puts it away. */
  copilot: (show: boolean) => Promise<void>;
};

const isFocused = (what: Locator) => what.evaluate((element) => element === document.activeElement);

/** Tab until that has the focus, and nothing but that. */
async function reach(page: Page, what: Locator): Promise<void> {
  await expect(what).toBeVisible();
  for (let presses = 0; presses < 250; presses++) {
    if (await isFocused(what)) {
      // A person sees where the focus is.
      expect(await what.evaluate((element) => element.matches(":focus-visible"))).toBe(true);
      return;
    }
    await page.keyboard.press("Tab");
  }
  throw new Error(`${what.toString()} is not reached by keys`);
}

const byKeys = (page: Page): Hands => ({
  press: async (what) => {
    await reach(page, what);
    await page.keyboard.press((await what.getAttribute("type")) === "checkbox" ? "Space" : "Enter");
  },
  fill: async (field, text) => {
    await reach(page, field);
    await page.keyboard.press("Control+a");
    await page.keyboard.type(text);
  },
  choose: async (list, label) => {
    await reach(page, list);
    await page.keyboard.type(label);
    await expect(list.locator("option:checked")).toHaveText(label);
  },
  copilot: async () => {},
});

const byTouch = (page: Page): Hands => ({
  press: (what) => what.tap(),
  fill: async (field, text) => {
    await field.tap();
    await field.fill(text);
  },
  choose: async (list, label) => void (await list.selectOption({ label })),
  copilot: async (show) => {
    const pane = page.getByRole("complementary", { name: "Co-pilot" });
    if (show) {
      await page.getByRole("navigation").getByRole("button", { name: "Co-pilot" }).tap();
      await expect(pane).toBeVisible();
    } else {
      await pane.getByRole("button", { name: "Close co-pilot" }).tap();
    }
  },
});

/** From the first sentence over a question to a release and the next request. */
async function walk(page: Page, hands: Hands, name: string): Promise<void> {
  const request = page.request;
  const description = page.getByLabel("What would you like Grace to build?");
  const main = page.getByRole("main");
  const builder = page.getByRole("form", { name: "New build" });
  await open(page, "/");

  await test.step("a wrong request says what is wrong, and keeps it", async () => {
    await hands.fill(description, "!!!");
    await hands.press(builder.getByRole("button", { name: "Preview plan" }));
    await expect(builder).toContainText("It has no letters or digits");
    await expect(description).toHaveValue("!!!");
  });

  await test.step("it is described, previewed and started", async () => {
    await hands.fill(description, `${name} has scale and year. Users sign in.`);
    await hands.choose(builder.getByLabel("Target domain"), "API");
    await hands.choose(builder.getByLabel("Stack"), "FastAPI only");
    await hands.press(builder.locator("summary").filter({ hasText: "Advanced" }));
    await hands.press(builder.getByRole("checkbox", { name: /tests/i }).first());
    await hands.press(builder.getByRole("button", { name: "Preview plan" }));
    const plan = page.getByRole("region", { name: "Plan preview" });
    await expect(plan).toContainText("How should people sign in?");
    await hands.press(builder.getByRole("button", { name: "Start build" }));
  });

  const title = `${name}s feature`;
  const intent = await intentOf(request, title);
  // Its open question keeps it from ending before it is held.
  await test.step("it is found, followed, held and gone on with", async () => {
    await hands.press(page.getByRole("button", { name: "Search and commands" }));
    await expect(page.getByRole("combobox", { name: "Search builds and commands" })).toBeFocused();
    await page.keyboard.type(intent);
    await expect(page.getByRole("option", { name: new RegExp(`feature ${intent}`) })).toBeVisible();
    await page.keyboard.press("Enter");
    await expect(page).toHaveURL(`/builds/${intent}`);
    await hands.press(main.getByRole("button", { name: "Pause", exact: true }));
    await expect.poll(async () => (await statusOf(request, intent)).status).toBe("paused");
    await hands.press(main.getByRole("button", { name: "Resume", exact: true }));
    await expect.poll(async () => (await statusOf(request, intent)).status).not.toBe("paused");
  });

  await test.step("its question is answered in the co-pilot", async () => {
    await hands.copilot(true);
    const message = messagesOf(page, `${title} needs your input`);
    await hands.press(message.getByRole("button", { name: /Sessions a cookie/ }));
    await expect(message).toHaveCount(0);
    await hands.copilot(false);
  });

  await test.step("it is reviewed", async () => {
    await waitForStatus(request, intent, "completed", 120_000);
    await hands.press(main.getByRole("link", { name: /^Changes/ }));
    const file = main.locator(".diff-file").first();
    await hands.press(file.getByRole("button", { name: "Comment" }));
    await hands.fill(page.getByLabel("What should be otherwise?"), "Say more here.");
    await hands.press(page.getByRole("form", { name: "Comment on the lines" }).getByRole("button", { name: "Comment" }));
    await expect(file.getByRole("article")).toContainText("Say more here.");
  });

  await test.step("it is deployed, and answers", async () => {
    await hands.press(main.getByRole("button", { name: "Deploy", exact: true }));
    const dialog = page.getByRole("dialog", { name: `Deploy ${title}` });
    await hands.press(dialog.getByRole("checkbox", { name: "Run the project's tests on the release first" }));
    await hands.press(dialog.getByRole("button", { name: /^Deploy to / }));
    await expect(dialog).toBeHidden();
    await waitForStatus(request, intent, "deployed", 120_000);
    await hands.press(main.getByRole("link", { name: /^Deployments/ }));
    await expect(main).toContainText("Live");
    await expectNoViolations(page);
  });

  await test.step("its request is used again", async () => {
    await hands.press(page.getByRole("link", { name: "Builder" }).first());
    const row = page.getByRole("region", { name: "Completed projects" }).getByRole("row").filter({ hasText: intent });
    await hands.press(row.getByRole("button", { name: "Reuse this request in the form" }));
    await expect(description).toBeFocused();
    await expect(description).toHaveValue(`${name} has scale and year. Users sign in.`);
  });
}

test.use({ expectedComplaint: /status of 422/ });

test("with keys alone a build is described, answered, steered, reviewed, deployed and used again", async ({ page }) => {
  test.setTimeout(240_000);
  await walk(page, byKeys(page), "Pantograph");
});

test.describe("on a small screen that is touched", () => {
  test.use({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });

  test("the same is done", async ({ page }) => {
    test.setTimeout(240_000);
    await walk(page, byTouch(page), "Planimeter");
  });
});

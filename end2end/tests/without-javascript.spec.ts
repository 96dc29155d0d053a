import { expect, test } from "@playwright/test";

import { statusOf } from "./harness";

test.use({ javaScriptEnabled: false });

test("without JavaScript a form is submitted, a plan is read and approved", async ({ page, request }) => {
  await page.goto("/");
  await page.getByLabel("What would you like Grace to build?").fill("   ");
  await page.getByRole("button", { name: "Preview plan" }).click();
  await expect(page.getByLabel("What would you like Grace to build?")).toHaveAttribute("aria-invalid", "true");

  await page.getByLabel("What would you like Grace to build?").fill("Book has title, author and year. List and search books.");
  await page.getByRole("button", { name: "Start build" }).click();
  await page.waitForURL(/\/builds\/int-code-\d+/);
  const intent = /int-code-\d+/.exec(page.url())?.[0] ?? "";
  await page.getByRole("button", { name: /^Approve/ }).first().click();
  await expect.poll(async () => (await statusOf(request, intent)).status).not.toBe("awaiting_approval");

  await page.goto("/");
  await expect(page.getByRole("row").filter({ hasText: intent }).first()).toBeVisible();
  const stopped = await request.post(`/api/coding_agent/${intent}/stop`);
  expect(stopped.status()).toBe(200);
});

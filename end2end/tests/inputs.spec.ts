import { readFile } from "node:fs/promises";

import { expect, expectNoViolations, open, statusOf, test } from "./harness";

const table = "title,author\nEmma,Austen\nDune,Herbert\n";

test("a file that is dropped into the form is listed, comes with the build and is downloaded as it was", async ({ page, request }) => {
  await open(page, "/");
  const form = page.getByRole("form", { name: "New build" });
  const files = form.getByRole("group", { name: "Files" });
  const carried = await page.evaluateHandle((text) => {
    const carried = new DataTransfer();
    carried.items.add(new File([text], "books.csv", { type: "text/csv" }));
    return carried;
  }, table);
  await form.dispatchEvent("dragover", { dataTransfer: carried });
  await form.dispatchEvent("drop", { dataTransfer: carried });
  await expect(files).toContainText(`books.csvdataset, ${table.length} B`);

  await form.getByLabel("Add files").setInputFiles([
    { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("Keep the order.\n") },
    { name: "empty.txt", mimeType: "text/plain", buffer: Buffer.alloc(0) },
  ]);
  await expect(files.getByRole("alert")).toContainText("`empty.txt`: It is empty.");
  await expect(files.getByRole("button", { name: "Remove notes.txt" })).toBeVisible();
  await page.reload();
  await expect(files, "files are kept over a reload as the text is").toContainText("books.csv");
  await files.getByRole("button", { name: "Remove notes.txt" }).click();
  await expect(files).not.toContainText("notes.txt");

  await page.getByLabel("What would you like Grace to build?").fill("Book has title and author.");
  await page.getByRole("button", { name: "Preview plan" }).click();
  await expect(page.getByRole("region", { name: "Plan preview" })).toContainText("this agent does not read what is in it");
  await expectNoViolations(page);
  const created = page.waitForResponse((answer) => answer.url().includes("/api/_calls/start_build"));
  await page.getByRole("button", { name: "Start build" }).click();
  const { intent_id: intent } = (await (await created).json()) as { intent_id: string };
  await expect(files).not.toContainText("books.csv");

  await open(page, `/builds/${intent}`);
  const given = page.getByRole("list", { name: "Given with it" });
  await expect(given).toContainText(`books.csv dataset, ${table.length} B`);
  const downloading = page.waitForEvent("download");
  await given.getByRole("link", { name: "books.csv" }).click();
  const download = await downloading;
  expect(download.suggestedFilename()).toBe("books.csv");
  expect(await readFile(await download.path(), "utf8")).toBe(table);
  await expectNoViolations(page);

  await expect.poll(async () => (await statusOf(request, intent)).artifacts_generated.length, { timeout: 30_000 }).toBeGreaterThan(0);
  await request.post(`/api/coding_agent/${intent}/stop`);
});

import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { type APIRequestContext } from "@playwright/test";

import { approved, expect, expectNoViolations, open, small, test, waitForStatus } from "./harness";

// Words that no other build's documents have.
const hostile = `# Gannet handbook

How a gannet dives. See [the log](docs/logbook.md#deep-dives), [a script](javascript:alert(1)) and [elsewhere](https://example.org/x).

<script>document.title = "taken over"</script>
<img src=x onerror="document.title = 'taken over'">

## Diving

A plumicorn is measured before each **dive**.

| Depth | Time |
|---|---|
| 12 m | 9 s |

\`\`\`sh
./dive --deep
\`\`\`

![a gannet](pictures/gannet.png)
`;
const logbook = "# Logbook\n\n## Deep dives\n\nThe zirkelwort of each deep dive is written down.\n";

let build: string;

type List = { items: { document_id: string; path: string }[]; total: number };

async function found(request: APIRequestContext, words: string): Promise<List> {
  return (await (await request.get("/api/documents", { params: { q: words } })).json()) as List;
}

test.beforeAll(async ({ request }) => {
  test.setTimeout(240_000);
  const folder = await mkdtemp(join(tmpdir(), "grace-documents-"));
  const git = (...words: string[]) => execFileSync("git", ["-c", "user.name=A", "-c", "user.email=a@b.c", ...words], { cwd: folder });
  git("init", "--quiet");
  await writeFile(join(folder, "README.md"), hostile);
  execFileSync("mkdir", [join(folder, "docs")]);
  await writeFile(join(folder, "docs/logbook.md"), logbook);
  git("add", ".");
  git("commit", "--quiet", "-m", "Before");
  ({ intent: build } = await approved(request, "Gannet has wingspan and weight.", { ...small, artifacts: { repository: folder } }));
  await waitForStatus(request, build, "completed", 200_000);
  await expect.poll(async () => (await found(request, "zirkelwort")).total, { intervals: [250], timeout: 30_000 }).toBe(1);
  await rm(folder, { recursive: true });
});

test("documents are found by their words, read with what leads on from them, and nothing in them runs", async ({ page }) => {
  await open(page, "/operations");
  await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Documents" }).click();
  const search = page.getByRole("search");
  await search.getByRole("searchbox", { name: "Words to search for" }).fill("measuring plumicorns");
  await search.getByRole("button", { name: "Search" }).click();
  await expect(page).toHaveURL(/\/documents\?q=measuring/);
  const first = page.getByRole("region", { name: "Found" }).getByRole("listitem").first();
  await expect(first).toContainText("Gannet handbook");
  await expect(first).toContainText("Diving");
  await expect(first.locator("mark")).toHaveText(["plumicorn", "measured"]);
  await expectNoViolations(page);

  // Narrowed to the build; what no document has says so.
  await search.getByLabel("Build").selectOption(build);
  await search.getByRole("button", { name: "Search" }).click();
  await expect(page).toHaveURL(new RegExp(`intent=${build}`));
  await expect(page.getByRole("status").filter({ hasText: "1 document" })).toBeVisible();
  await search.getByRole("searchbox").fill("plumicorn -dive");
  await search.getByRole("searchbox").press("Enter");
  await expect(page.getByText(`No document of ${build} has all of: plumicorn -dive.`)).toBeVisible();
  await page.goBack();
  await expect(first).toContainText("Gannet handbook");

  await first.getByRole("link", { name: "Gannet handbook" }).click();
  await expect(page).toHaveURL(/\/documents\/doc-\d+#s-diving$/);
  const text = page.getByRole("article");
  await expect(text.getByRole("heading", { name: "Diving" })).toBeInViewport();
  await expect(page).toHaveTitle(/Gannet handbook/);
  await expect(text).toContainText(`<script>document.title = "taken over"</script>`);
  expect(await text.locator("script, img, iframe, style").count()).toBe(0);
  expect(await text.getByText("a script").evaluate((node) => node.closest("a"))).toBeNull();
  await expect(text.getByRole("link", { name: "elsewhere" })).toHaveAttribute("rel", /noopener.*nofollow/);
  await expectNoViolations(page);
  await page.getByRole("navigation", { name: "Contents" }).getByRole("link", { name: "Gannet handbook" }).click();
  await expect(text.getByRole("heading", { name: "Gannet handbook" })).toBeInViewport();

  // To the other document of the build, at its section, and back to the build.
  await text.getByRole("link", { name: "the log" }).click();
  await expect(page).toHaveURL(/\/documents\/doc-\d+#s-deep-dives$/);
  await expect(text).toContainText("zirkelwort");
  await page.getByRole("region", { name: "Document" }).getByRole("link", { name: "File" }).click();
  await expect(page).toHaveURL(new RegExp(`/builds/${build}\\?tab=artifacts`));
  await page.getByRole("main").getByRole("link", { name: "Documents", exact: true }).click();
  await expect(page).toHaveURL(new RegExp(`/documents\\?intent=${build}`));
  await expect(page.getByRole("region", { name: "Newest" }).getByRole("listitem").first()).toBeVisible();

  // The palette searches them, and the chat says where.
  await page.keyboard.press("Control+k");
  await page.getByPlaceholder("A build, a page, a command").fill("zirkelwort");
  await page.getByRole("option", { name: "Search documents for zirkelwort" }).click();
  await expect(page.getByRole("region", { name: "Found" }).locator("mark")).toHaveText("zirkelwort");
  const chat = page.getByRole("complementary", { name: "Co-pilot" });
  await chat.getByLabel("Message to Grace").fill("Where is the zirkelwort documented?");
  await chat.getByLabel("Message to Grace").press("Enter");
  await expect(chat).toContainText("docs/logbook.md");
  await chat.getByRole("link", { name: "docs/logbook.md, Deep dives" }).click();
  await expect(text).toContainText("zirkelwort");
});

test("the documents of a build are handed out as a site without scripts", async ({ page }) => {
  await open(page, `/documents?intent=${build}`);
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Export as a site" }).click()]);
  expect(download.suggestedFilename()).toBe(`${build}-documents.zip`);
  const folder = await mkdtemp(join(tmpdir(), "grace-site-"));
  const unpack = "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])";
  execFileSync("python3", ["-c", unpack, await download.path(), folder]);
  await page.goto(pathToFileURL(join(folder, "index.html")).href);
  await page.getByRole("main").getByRole("link", { name: "Gannet handbook" }).click();
  await expect(page.getByRole("main")).toContainText(`<script>document.title = "taken over"</script>`);
  expect(await page.locator("script, img").count()).toBe(0);
  await page.getByRole("main").getByRole("link", { name: "the log" }).click();
  await expect(page.getByRole("heading", { name: "Deep dives" })).toBeVisible();
  await page.getByRole("navigation", { name: "Documents" }).getByRole("link", { name: "Gannet handbook" }).click();
  await expect(page.getByRole("heading", { name: "Gannet handbook" })).toBeVisible();
  await rm(folder, { recursive: true });
});

test("a search is current: what a build commits meanwhile appears", async ({ page, request }) => {
  test.setTimeout(120_000);
  await open(page, "/documents?q=marabou");
  await expect(page.getByText("No document has all of: marabou.")).toBeVisible();
  await approved(request, "Marabou has beak and height.", small);
  await expect(page.getByRole("region", { name: "Found" }).getByRole("listitem").first()).toContainText(/marabou/i, { timeout: 90_000 });
});

test("on a phone nothing is wider than the screen", async ({ page, request }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  const { items } = await found(request, "plumicorn");
  for (const path of ["/documents?q=plumicorn", `/documents/${items[0]?.document_id ?? ""}`]) {
    await open(page, path);
    const beyond = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    expect(beyond, path).toBe(0);
    await expectNoViolations(page);
  }
});

test.describe("without JavaScript", () => {
  test.use({ javaScriptEnabled: false });

  test("without JavaScript documents are searched and read", async ({ page }) => {
    await page.goto("/documents");
    await page.getByRole("searchbox", { name: "Words to search for" }).fill("plumicorn");
    await page.getByRole("button", { name: "Search" }).click();
    await page.getByRole("region", { name: "Found" }).getByRole("link", { name: "Gannet handbook" }).click();
    await expect(page.getByRole("article")).toContainText("measured before each dive");
    await page.getByRole("article").getByRole("link", { name: "the log" }).click();
    await expect(page.getByRole("article")).toContainText("zirkelwort");
  });
});

import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import { approved, expect, expectNoViolations, open, test, waitForStatus } from "./harness";

// Where a picture of each screen goes, to be looked at.
const folder = process.env["GRACE_PICTURES"] ?? "test-results/pictures";
const looks = [
  { name: "light", width: 1280, height: 800, colorScheme: "light" },
  { name: "dark", width: 1280, height: 800, colorScheme: "dark" },
  { name: "narrow", width: 390, height: 844, colorScheme: "light" },
] as const;

let build: string;
let document: string;

test.beforeAll(async ({ request }) => {
  test.setTimeout(240_000);
  await mkdir(folder, { recursive: true });
  build = (await approved(request, "Barometer has pressure and time.")).intent;
  await waitForStatus(request, build, "completed", 200_000);
  const first = async (): Promise<string | undefined> => {
    const list = (await (await request.get(`/api/documents?intent=${build}`)).json()) as { items: { document_id: string }[] };
    return list.items[0]?.document_id;
  };
  await expect.poll(first, { intervals: [250] }).toBeTruthy();
  document = (await first()) ?? "";
});

for (const look of looks) {
  test.describe(look.name, () => {
    // The page that is not there is answered with 404, which the browser reports.
    test.use({ viewport: { width: look.width, height: look.height }, colorScheme: look.colorScheme, expectedComplaint: /404/ });

    test(`every screen is drawn without a fault of accessibility, a jump or a word on the console, ${look.name}`, async ({ page }) => {
      await page.addInitScript(() => {
        const shifts = { sum: 0 };
        Object.assign(window, { shifts });
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries() as (PerformanceEntry & { value: number; hadRecentInput: boolean })[]) {
            shifts.sum += entry.hadRecentInput ? 0 : entry.value;
          }
        }).observe({ type: "layout-shift", buffered: true });
      });
      const of = (tab: string) => `/builds/${build}?tab=${tab}`;
      const screens = {
        home: "/", tasks: "/tasks", operations: "/operations", analytics: "/analytics", settings: "/settings", build: `/builds/${build}`,
        log: of("log"), artifacts: of("artifacts"), changes: of("changes"), tests: of("tests"), plan: of("plan"), cost: of("cost"),
        reviews: of("reviews"), deployments: of("deployments"), retrospective: of("retrospective"), "not-found": "/nothing-is-here",
        documents: "/documents?q=barometer", document: `/documents/${document}`,
      };
      // Most of it is what axe takes.
      test.setTimeout(Object.keys(screens).length * 15_000);
      for (const [name, address] of Object.entries(screens)) {
        await test.step(name, async () => {
          await open(page, address);
          await page.screenshot({ path: join(folder, `${name}-${look.name}.png`) });
          await expectNoViolations(page);
          const shifted = await page.evaluate(() => (window as unknown as { shifts: { sum: number } }).shifts.sum);
          expect(shifted, "cumulative layout shift").toBeLessThanOrEqual(0.02);
        });
      }
    });
  });
}

import { chromium } from "playwright-core";
const [,, base, out, ...paths] = process.argv;
const b = await chromium.launch({ executablePath: "/usr/bin/chromium" });
for (const [w, h, scheme] of [[1280, 800, "light"], [1280, 800, "dark"], [390, 844, "light"]]) {
  const c = await b.newContext({ viewport: { width: w, height: h }, colorScheme: scheme });
  const p = await c.newPage();
  p.on("console", (m) => ["error", "warning"].includes(m.type()) && console.log(w, scheme, m.text()));
  for (const path of paths) {
    await p.goto(base + path); await p.waitForTimeout(1500);
    await p.screenshot({ path: `${out}/${path.replace(/\W+/g, "_")}-${w}-${scheme}.png`, fullPage: w !== 1280 || true });
  }
  await c.close();
}
await b.close();

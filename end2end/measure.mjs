// What a person feels, measured in a real browser beside a running Grace. `bench` starts it and reads one JSON object from its output.
// node measure.mjs ADDRESS CHROMIUM INTENT: the build INTENT writes 100 000 log lines, then one each millisecond, once it has been approved.
import { chromium } from "@playwright/test";

const [address, executablePath, intent] = process.argv.slice(2);
const LOADS = 7;
const LINES = 100_000;
const WATCHED_SECONDS = 10;
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"] });

const median = (numbers) => numbers.toSorted((one, other) => one - other)[Math.floor(numbers.length / 2)];

/** A page in a browser that has cached nothing. */
async function freshPage() {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  return context.newPage();
}

/** From the start of the navigation until the browser half has taken the page over and its stream is open, in milliseconds. */
async function interactive() {
  const page = await freshPage();
  await page.addInitScript(() => {
    const look = () => {
      if (document.querySelector(".connection")?.textContent?.includes("Live")) {
        window.interactiveAfter = performance.now();
      } else {
        requestAnimationFrame(look);
      }
    };
    requestAnimationFrame(look);
  });
  await page.goto(`${address}/`);
  const after = await (await page.waitForFunction(() => window.interactiveAfter, undefined, { timeout: 30_000 })).jsonValue();
  await page.context().close();
  return after;
}

/** Presses something of each kind; from each press to the frame that shows what it did, as the browser's own event timing tells it. */
async function presses() {
  const page = await freshPage();
  await page.addInitScript(() => {
    window.presses = new Map();
    new PerformanceObserver((list) => {
      for (const { interactionId, name, duration } of list.getEntries()) {
        if (interactionId > 0) {
          window.presses.set(interactionId, { name, duration: Math.max(duration, window.presses.get(interactionId)?.duration ?? 0) });
        }
      }
    }).observe({ type: "event", durationThreshold: 16, buffered: true });
  });
  await page.goto(`${address}/`);
  await page.locator(".connection", { hasText: "Live" }).waitFor();
  // Each part of the page that a press loads comes once; it is in the browser's cache afterwards.
  const kinds = [
    async () => page.getByLabel("What would you like Grace to build?").pressSequentially("Shelf has name."),
    async () => page.getByLabel("Target domain").selectOption("api"),
    async () => page.keyboard.press("Control+k"),
    async () => page.keyboard.press("Escape"),
    async () => page.getByRole("link", { name: "Layer 2 Tasks" }).click(),
    async () => page.getByRole("heading", { name: "Tasks", level: 1 }).waitFor(),
    async () => page.getByRole("link", { name: "Layer 4 Operations" }).click(),
    async () => page.getByRole("heading", { name: "Operations", level: 1 }).waitFor(),
    async () => page.getByRole("link", { name: "Layer 3 Builder" }).click(),
    async () => page.getByLabel("What would you like Grace to build?").waitFor(),
  ];
  for (const press of kinds) {
    await press();
  }
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  const all = await page.evaluate(() => [...window.presses.values()].map(({ duration }) => duration));
  await page.context().close();
  // What took less than the threshold, one frame, is not told.
  return { longest: Math.max(16, ...all), told: all.length };
}

/** A page on the build's log while it runs: how it keeps up, and what a search in it takes. */
async function log() {
  const page = await freshPage();
  await page.goto(`${address}/builds/${intent}?tab=log`);
  await page.locator(".connection", { hasText: "Live" }).waitFor();
  const count = () =>
    page.evaluate(() => Number((document.querySelector(".bar .tools .hint")?.textContent ?? "").split(" of ").pop().replace(/[^0-9]/g, "")));
  await approve();
  await until(async () => (await count()) >= LINES, 240_000, "100 000 lines in the page");
  const session = await page.context().newCDPSession(page);
  const heap = async () => {
    await session.send("HeapProfiler.collectGarbage");
    return page.evaluate(() => performance.memory.usedJSHeapSize);
  };
  const newest = () => page.evaluate(() => Number(document.querySelector(".logpane .log li:last-child .n")?.textContent?.replace(/[^0-9]/g, "")));
  const [heapBefore, newestBefore] = [await heap(), await newest()];
  const { frames, seconds } = await page.evaluate(
    (watched) =>
      new Promise((done) => {
        const began = performance.now();
        let frames = 0;
        const frame = () => {
          frames += 1;
          const seconds = (performance.now() - began) / 1000;
          seconds < watched ? requestAnimationFrame(frame) : done({ frames, seconds });
        };
        requestAnimationFrame(frame);
      }),
    WATCHED_SECONDS,
  );
  const [heapAfter, newestAfter] = [await heap(), await newest()];
  await ended();
  const searches = [];
  for (const needle of ["99999", "line", "1234", "nothing has this"]) {
    await page.getByLabel("Filter log").fill("");
    searches.push(
      await page.evaluate(
        (text) =>
          new Promise((done) => {
            const field = document.querySelector("input[aria-label='Filter log']");
            field.value = text;
            const began = performance.now();
            field.dispatchEvent(new Event("input", { bubbles: true }));
            // The first frame after the one that the change was drawn in.
            requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - began)));
          }),
        needle,
      ),
    );
  }
  const lines = await count();
  await page.context().close();
  return {
    frames_per_second: frames / seconds,
    events_per_second: (newestAfter - newestBefore) / seconds,
    heap_before: heapBefore,
    heap_after: heapAfter,
    log_lines: lines,
    log_search_ms: Math.max(...searches),
  };
}

async function until(is, within, what) {
  const end = Date.now() + within;
  while (!(await is())) {
    if (Date.now() > end) {
      throw new Error(`waited ${within / 1000} s in vain for: ${what}`);
    }
    await new Promise((done) => setTimeout(done, 100));
  }
}

async function status() {
  return (await fetch(`${address}/api/coding_agent/status/${intent}`)).json();
}

async function approve() {
  const { plan_hash } = await status();
  const answer = await fetch(`${address}/api/coding_agent/${intent}/approve`, {
    method: "POST",
    headers: { "content-type": "application/json", origin: address },
    body: JSON.stringify({ approved: true, plan_hash }),
  });
  if (answer.status !== 200) {
    throw new Error(`approving: ${answer.status} ${await answer.text()}`);
  }
}

async function ended() {
  await until(async () => (await status()).status === "completed", 120_000, "the end of the build");
}

const loads = [];
for (let load = 0; load < LOADS; load += 1) {
  loads.push(await interactive());
}
const pressed = await presses();
const figures = { interactive_ms: median(loads), press_ms: pressed.longest, presses_told: pressed.told, ...(await log()) };
await browser.close();
console.log(JSON.stringify(figures));

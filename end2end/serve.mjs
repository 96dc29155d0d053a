// Starts Grace in a data folder of its own, and takes both away at the end.
import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [port] = process.argv.slice(2);
const root = join(import.meta.dirname, "..");
const server = process.env["GRACE_SERVER"] ?? join(root, "target/debug/grace");
const site = process.env["GRACE_SITE"] ?? join(root, "target/site");

const data = mkdtempSync(join(tmpdir(), "grace-end2end-"));
// The users that the database and the sandbox run as must be able to enter it.
chmodSync(data, 0o755);
// A database of the developer's own is not for tests.
const { DATABASE_URL: _, ...environment } = process.env;
// Nor is a container engine, unless it is named for them.
const engine = process.env["GRACE_DOCKER_SOCKET"] ?? join(data, "no-engine.sock");
const base = process.env["GRACE_DOCKER_BASE"];
const containers = ["--docker-socket", engine, ...(base ? ["--docker-base", base] : [])];
const grace = spawn(server, ["serve", "--port", port, "--data-dir", data, "--site", site, ...containers], {
  stdio: "inherit",
  // The keys of the scripted model: the right one and a wrong one.
  env: { RUST_LOG: "warn", ...environment, END2END_KEY: "a-key-that-only-this-test-knows", END2END_WRONG_KEY: "another-key" },
});
for (const signal of ["SIGTERM", "SIGINT"]) {
  process.on(signal, () => grace.kill("SIGTERM"));
}
grace.on("exit", (code) => {
  rmSync(data, { recursive: true, force: true });
  process.exit(code ?? 1);
});

import { deepEqual, equal, match } from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

function start(file: string, env: NodeJS.ProcessEnv = {}) {
  return spawn(process.execPath, ["--import", "tsx", file], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
}

describe("the examples run as they are", () => {
  it("order-book.ts matches orders, and ends", async () => {
    const child = start("examples/order-book.ts");
    const closed = once(child, "close");
    const lines: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) lines.push(line);
    deepEqual(lines, [
      "order 3, at position 3: 5 at 100, 3 at 101",
      "order 1 again: duplicate-order",
      "cancelled: true; fills: 0; top: { bid: 99, ask: undefined }",
      "applied: place, place, place, cancel, place",
    ]);
    deepEqual(await closed, [0, null]);
  });

  it("cron-leader.ts runs its job while it leads, and ends when it is told to", async () => {
    const child = start("examples/cron-leader.ts", { CRON_EVERY_MS: "20" });
    const closed = once(child, "close");
    let runs = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      match(line, /^invoices, in term \d+$/);
      if (++runs === 3) child.kill("SIGTERM");
    }
    equal(runs >= 3, true);
    deepEqual(await closed, [0, null]);
  });
});

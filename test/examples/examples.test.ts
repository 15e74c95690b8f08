import { deepEqual, equal, match } from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { createInterface } from "node:readline";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

function start(file: string, env: NodeJS.ProcessEnv = {}, ...args: string[]) {
  return spawn(process.execPath, ["--import", "tsx", file, ...args], {
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

  it("event-stream.ts sends all orders to one consumer and the big ones to another, whoever is slow", async () => {
    const secret = "a secret for the example";
    const port = await freePort();
    const producer = start(
      "examples/event-stream.ts",
      { MOSAIK_SECRET: secret, MOSAIK_LISTEN: `127.0.0.1:${port}` },
      "produce",
    );
    const env = { MOSAIK_SECRET: secret, MOSAIK_BOOTSTRAP: `127.0.0.1:${port}` };
    const read = async (role: string, count: number): Promise<string[]> => {
      const child = start("examples/event-stream.ts", env, role);
      const closed = once(child, "close");
      const lines: string[] = [];
      for await (const line of createInterface({ input: child.stdout })) if (lines.push(line) === count) child.kill();
      await closed;
      return lines;
    };
    const ended = once(producer, "close");
    const [all, big] = await Promise.all([read("archive", 1_000), read("watch", 101)]);
    deepEqual(await ended, [0, null]);
    equal(all[0], '{"id":"o-1","cents":1200,"at":"2026-11-22T10:00:00.000Z","source":"web"}');
    deepEqual(
      all.map((line) => JSON.parse(line).id),
      Array.from({ length: 1_000 }, (_, i) => `o-${i + 1}`),
    );
    deepEqual(
      big.map((line) => line.split(" ")[0]),
      Array.from({ length: 101 }, (_, i) => `o-${i + 900}`),
    );
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

import { deepEqual, equal, notEqual } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { FaultKind } from "./fault-counter.ts";
import { runNodes } from "./node-run.ts";

const MAIN = fileURLToPath(new URL("./main.ts", import.meta.url));
const SEEDS = [1, 2, 3];

/** The command in a process of its own: its lines, and its exit code. */
function sim(args: readonly string[], options: { cwd?: string; env?: Record<string, string> } = {}) {
  const { stdout, status } = spawnSync(process.execPath, ["--import", import.meta.resolve("tsx"), MAIN, ...args], {
    encoding: "utf8",
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
  });
  const lines = stdout
    .trim()
    .split("\n")
    .filter((line) => line.startsWith("{"));
  return { lines: lines.map((line) => JSON.parse(line)), status };
}

test("one seed gives one hash: alone, in a batch, reversed, interleaved", async () => {
  const alone: string[] = [];
  for (const seed of SEEDS) alone.push((await runNodes(seed)).traceHash);
  equal(new Set(alone).size, SEEDS.length);
  const reversed: string[] = [];
  for (const seed of SEEDS.toReversed()) reversed.push((await runNodes(seed)).traceHash);
  deepEqual(reversed.reverse(), alone);
  const interleaved = await Promise.all(SEEDS.map((seed) => runNodes(seed)));
  deepEqual(
    interleaved.map(({ traceHash }) => traceHash),
    alone,
  );
});

test("one seed gives one hash in another folder, locale and time zone, and the hash is that of the trace's file", () => {
  const folder = mkdtempSync(join(tmpdir(), "mosaik-sim-"));
  try {
    const here = sim(["--seed", "2", "--json"]);
    const file = join(folder, "trace");
    const env = { TZ: "Pacific/Chatham", LANG: "tr_TR.UTF-8", LC_ALL: "tr_TR.UTF-8" };
    const there = sim(["--seed", "2", "--json", "--trace", file], { cwd: folder, env });
    const batch = sim(["--seed", "1", "--seeds", "2", "--json"]);
    equal(here.lines[0].verdict, "ok", here.lines[0].reason);
    equal(there.lines[0].traceHash, here.lines[0].traceHash);
    equal(batch.lines[1].traceHash, here.lines[0].traceHash);
    notEqual(batch.lines[0].traceHash, here.lines[0].traceHash);
    equal(createHash("sha256").update(readFileSync(file)).digest("hex"), here.lines[0].traceHash);
    equal(here.status, 0);
    const { type, seed, story, faults, operations, virtualMs } = here.lines[0];
    deepEqual({ type, seed, story }, { type: "run", seed: 2, story: null });
    for (const [kind, effects] of Object.entries(faults)) equal((effects as number) > 0, true, `${kind} had no effect`);
    for (const kind of ["cut", "crash", "restart"] satisfies FaultKind[]) equal(faults[kind] > 0, true, kind);
    equal(operations.ok >= 200 && virtualMs >= 20_000, true);
    deepEqual(Object.keys(here.lines.at(-1)), ["type", "runs", "failed", "wallMs"]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("a wrong flag, a wrong number and an unknown story are wrong usage", () => {
  for (const args of [
    ["--sed", "1"],
    ["--seed", "x"],
    ["--seeds", "0"],
    ["--story", "nobody told"],
  ]) {
    equal(sim(args).status, 2, args.join(" "));
  }
});

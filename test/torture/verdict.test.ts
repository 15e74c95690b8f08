import { deepEqual, equal, match } from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { SeededRandom } from "../../src/env/index.ts";
import type { Operation } from "../../src/sim/history.ts";
import { Bag } from "./bag.ts";
import { HistoryFile, readHistory } from "./history-file.ts";
import { Keys } from "./keys.ts";
import { countOf } from "./tracer.ts";
import { type Findings, judge } from "./verdict.ts";

const FIELDS = ["client", "op", "key", "input", "output", "call", "return", "outcome"];

function operation(fields: Partial<Operation>): Operation {
  const base = {
    client: 1,
    op: "read",
    key: "r0",
    input: null,
    output: null,
    call: 0,
    return: 1,
    outcome: "ok",
  } as const;
  return { ...base, ...fields };
}

/** One operation after another, as many as a minute must have. */
function good(): Operation[] {
  return Array.from({ length: 2_000 }, (_, i) =>
    operation({ key: `r${i >> 8}`, op: "write", input: i, call: i * 10, return: i * 10 + 5 }),
  );
}

function findings(overrides: Partial<Findings> = {}): Findings {
  return {
    minutes: 1,
    operations: good(),
    faults: { kill: 3 },
    leftOut: [],
    replicasEqual: true,
    syncs: { commits: 50, members: [50, 51, 52, 10, 12] },
    crashes: [],
    stalls: [],
    ...overrides,
  };
}

describe("the verdict", () => {
  it("is good, with the fields that are promised", () => {
    const { summary, problems, exitCode } = judge(findings());
    deepEqual(problems, []);
    equal(exitCode, 0);
    const { operations, ...rest } = summary;
    deepEqual(operations, { ok: 2_000, fail: 0, unknown: 0 });
    deepEqual(rest, {
      type: "summary",
      faults: { kill: 3 },
      leftOut: [],
      replicasEqual: true,
      checker: "ok",
      fsyncs: 175,
    });
  });

  const planted: readonly [what: string, operations: Operation[], says: RegExp][] = [
    [
      "a write that was acknowledged is not there",
      [
        operation({ key: "r90", op: "write", input: 7, call: 0, return: 5 }),
        operation({ key: "r90", call: 10, return: 15 }),
      ],
      /not linearizable at r90/,
    ],
    [
      "an element is in a list twice",
      [
        operation({ key: "l90", op: "append", input: 7, call: 0, return: 5 }),
        operation({ key: "l90", output: [7, 7], call: 10, return: 15 }),
      ],
      /l90: an element is twice/,
    ],
    [
      "two reads, one after the other, go back in time",
      [
        operation({ key: "r91", op: "write", input: 7, call: 0, return: null, outcome: "unknown" }),
        operation({ key: "r91", output: 7, call: 10, return: 15 }),
        operation({ key: "r91", output: null, call: 20, return: 25 }),
      ],
      /not linearizable at r91/,
    ],
    [
      "what surely had no effect had one",
      [
        operation({ key: "l92", op: "append", input: 7, call: 0, return: 5, outcome: "fail" }),
        operation({ key: "l92", output: [7], call: 10, return: 15 }),
      ],
      /l92: nobody appended 7/,
    ],
  ];
  for (const [what, operations, says] of planted) {
    it(`is a violation where ${what}`, () => {
      const { summary, problems, exitCode } = judge(findings({ operations: [...good(), ...operations] }));
      equal(summary.checker, "violation");
      equal(exitCode, 1);
      match(problems.join("\n"), says);
    });
  }

  const wrong: readonly [overrides: Partial<Findings>, exitCode: number, says: RegExp][] = [
    [{ replicasEqual: false }, 1, /do not hold the same/],
    [{ crashes: [{ member: 2, status: "exit 1" }] }, 1, /member 2 ended by itself: exit 1/],
    [{ stalls: ["in peace it was not whole"] }, 1, /in peace/],
    [{ syncs: { commits: 50, members: [50, 50, 49, 0, 0] } }, 1, /50 commits on 149 syncs/],
    [{ operations: good().slice(1) }, 3, /1999 operations in 1 min/],
    [{ operations: good().map((one) => ({ ...one, key: "r0" })) }, 3, /2000 operations on one key/],
    [
      {
        minutes: 10,
        operations: Array.from({ length: 10 }, good)
          .flat()
          .map((one, i) => ({ ...one, key: `r${i >> 8}` })),
      },
      3,
      /kill 3 times/,
    ],
  ];
  for (const [overrides, code, says] of wrong) {
    it(`is ${code} where ${says.source}`, () => {
      const { problems, exitCode } = judge(findings(overrides));
      match(problems.join("\n"), says);
      equal(exitCode, code);
    });
  }

  it("forgives what could not be brought about here, and says null for what could not be counted", () => {
    const operations = Array.from({ length: 10 }, good)
      .flat()
      .map((one, i) => ({ ...one, key: `r${i >> 8}` }));
    const { summary, exitCode } = judge(
      findings({
        minutes: 10,
        operations,
        faults: { kill: 5 },
        leftOut: ["disk-full (tmpfs: not root)"],
        syncs: undefined,
      }),
    );
    deepEqual([exitCode, summary.fsyncs], [0, null]);
  });
});

describe("the history", () => {
  const folder = mkdtempSync(join(tmpdir(), "mosaik-history-"));
  after(() => rmSync(folder, { recursive: true }));

  it("is a file of lines with the fields that are promised, and reads back the same", () => {
    const path = join(folder, "history.jsonl");
    const history = new HistoryFile(path);
    const operations = [
      operation({
        op: "cas",
        input: { expected: null, new: 4 },
        output: true,
        call: 123_456_789_012_345,
        return: 123_456_789_012_346,
      }),
      operation({ key: "l0", op: "append", input: 5, return: null, outcome: "unknown" }),
    ];
    history.add(operations.slice(0, 1));
    history.add(operations.slice(1));
    history.close();
    const [first, second] = readFileSync(path, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    deepEqual([Object.keys(first), Object.keys(second)], [FIELDS, FIELDS]);
    equal(first.call, 123_456_789_012_345);
    equal(second.return, null);
    deepEqual(readHistory(path), operations);
    deepEqual(history.operations, operations);
  });
});

describe("the parts of the harness", () => {
  it("a bag gives each once before any comes again, in an order of its seed", () => {
    const draws = (seed: number): string[] => {
      const bag = new Bag(["a", "b", "c", "d"], new SeededRandom(seed));
      return Array.from({ length: 12 }, () => bag.draw());
    };
    const drawn = draws(1);
    for (const from of [0, 4, 8]) deepEqual(drawn.slice(from, from + 4).sort(), ["a", "b", "c", "d"]);
    deepEqual(draws(1), drawn);
    equal(new Set(Array.from({ length: 20 }, (_, seed) => draws(seed).join(""))).size > 1, true);
  });

  it("keys are used so often, and no more", () => {
    const keys = new Keys(10);
    const random = new SeededRandom(1);
    const uses = new Map<string, number>();
    for (let i = 0; i < 1_000; i++) {
      const key = keys.take(random);
      uses.set(key, (uses.get(key) ?? 0) + 1);
    }
    equal(Math.max(...uses.values()), 10);
    equal(
      [...uses.keys()].some((key) => key.startsWith("l")),
      true,
    );
    equal(
      [...uses.keys()].some((key) => key.startsWith("r")),
      true,
    );
  });

  it("counts the calls in a table of strace", () => {
    const table = [
      "% time     seconds  usecs/call     calls    errors syscall",
      "------ ----------- ----------- --------- --------- ----------------",
      " 90.00    0.001234          12       103           fdatasync",
      " 10.00    0.000100          10         7         1 fsync",
      "100.00    0.001334                   110         1 total",
    ].join("\n");
    equal(countOf(table), 110);
    equal(countOf(""), 0);
  });
});

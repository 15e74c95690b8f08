import { deepEqual, equal, match, ok } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SeededRandom } from "../env/index.ts";
import { History, type Operation } from "./history.ts";
import { checkLinearizability } from "./linearizability.ts";

/**
 * A history as text, one operation a line: `client op argument -> output [call, return]`; without an output it is unknown, and `fail`
 * says that it failed.
 */
function parse(text: string): Operation[] {
  return text
    .trim()
    .split("\n")
    .map((line) => {
      const found = /^\s*(\d+) (\w+)(?: (?!->)(.*?))?(?: -> (.*))? \[(\d+), (\d+|-)\]$/.exec(line);
      ok(found, `cannot read ${line}`);
      const [, client, op, argument, output, call, end] = found;
      const isFail = output === "fail";
      return {
        client: Number(client),
        op: op as Operation["op"],
        key: "k",
        input: argument === undefined ? null : JSON.parse(argument),
        output: output === undefined || isFail ? null : JSON.parse(output),
        call: Number(call),
        return: end === "-" ? null : Number(end),
        outcome: isFail ? "fail" : output === undefined ? "unknown" : "ok",
      };
    });
}

const GOOD: Record<string, string> = {
  "an absent key is null": "1 read -> null [1, 2]",
  "one after the other": `
    1 write 1 -> null [1, 2]
    2 read -> 1 [3, 4]
    1 cas {"expected":1,"new":2} -> true [5, 6]
    2 cas {"expected":1,"new":3} -> false [7, 8]
    2 read -> 2 [9, 10]`,
  "concurrent reads may see a write or not, in order": `
    1 write 1 -> null [1, 10]
    2 read -> null [2, 3]
    3 read -> 1 [4, 5]
    2 read -> 1 [6, 7]`,
  "an unknown write takes effect late": `
    1 write 1 -> null [1, 2]
    1 write 2 [3, -]
    2 read -> 1 [10, 11]
    2 read -> 2 [20, 21]`,
  "an unknown write never takes effect": `
    1 write 1 -> null [1, 2]
    1 write 2 [3, -]
    2 read -> 1 [10, 11]`,
  "a failed write had no effect": `
    1 write 1 -> null [1, 2]
    1 write 2 -> fail [3, 4]
    2 read -> 1 [5, 6]`,
  "an unseen unknown write explains a failed cas": `
    1 write 1 -> null [1, 2]
    1 write 2 [3, -]
    2 cas {"expected":1,"new":3} -> false [5, 6]`,
  "an unknown cas that went through": `
    1 write 1 -> null [1, 2]
    1 cas {"expected":1,"new":2} [3, -]
    2 read -> 2 [5, 6]`,
  "appends, seen in one order": `
    1 append "a" -> null [1, 9]
    2 append "b" -> null [2, 8]
    3 read -> ["b"] [3, 4]
    3 read -> ["b","a"] [10, 11]`,
  "an unknown append shows up late": `
    1 append "a" [1, -]
    2 read -> [] [2, 3]
    2 append "b" -> null [4, 5]
    2 read -> ["b","a"] [6, 7]`,
  "operations that touch are concurrent": `
    1 write 1 -> null [1, 5]
    2 read -> null [5, 6]`,
};

const BAD: Record<string, string> = {
  "a stale read": `
    1 write 1 -> null [1, 2]
    1 write 2 -> null [3, 4]
    2 read -> 1 [5, 6]`,
  "a read that goes back": `
    1 write 1 -> null [1, 10]
    2 read -> 1 [2, 3]
    3 read -> null [4, 5]`,
  "a lost write": `
    1 write 1 -> null [1, 2]
    2 read -> null [3, 4]`,
  "a value from nowhere": `
    1 write 1 -> null [1, 2]
    2 read -> 7 [3, 4]`,
  "a failed write that took effect": `
    1 write 1 -> null [1, 2]
    1 write 2 -> fail [3, 4]
    2 read -> 2 [5, 6]`,
  "a read before the write was called": `
    2 read -> 1 [1, 2]
    1 write 1 -> null [3, 4]`,
  "two cas that both won": `
    1 cas {"expected":null,"new":1} -> true [1, 5]
    2 cas {"expected":null,"new":2} -> true [2, 6]`,
  "an unknown write that comes and goes": `
    1 write 1 -> null [1, 2]
    1 write 2 [3, -]
    2 read -> 2 [5, 6]
    2 read -> 1 [7, 8]`,
  "a cas that failed although nothing else was there": `
    1 write 1 -> null [1, 2]
    2 cas {"expected":1,"new":3} -> false [5, 6]`,
  "a duplicated append": `
    1 append "a" -> null [1, 2]
    2 read -> ["a","a"] [3, 4]`,
  "a lost append": `
    1 append "a" -> null [1, 2]
    1 append "b" -> null [3, 4]
    2 read -> ["b"] [5, 6]`,
  "appends in the wrong order": `
    1 append "a" -> null [1, 2]
    1 append "b" -> null [3, 4]
    2 read -> ["b","a"] [5, 6]`,
  "reads that disagree about the order": `
    1 append "a" -> null [1, 9]
    2 append "b" -> null [2, 8]
    3 read -> ["a","b"] [10, 11]
    4 read -> ["b","a"] [10, 11]`,
  "an element from nowhere": `
    1 append "a" -> null [1, 2]
    2 read -> ["a","x"] [3, 4]`,
  "a list that shrinks": `
    1 append "a" -> null [1, 2]
    2 read -> ["a"] [3, 4]
    2 read -> [] [5, 6]`,
  "a failed append that took effect": `
    1 append "a" -> fail [1, 2]
    2 read -> ["a"] [3, 4]`,
};

for (const [name, text] of Object.entries(GOOD)) {
  test(`linearizable: ${name}`, () => equal(checkLinearizability(parse(text)).verdict, "ok"));
}
for (const [name, text] of Object.entries(BAD)) {
  test(`not linearizable: ${name}`, () => equal(checkLinearizability(parse(text)).verdict, "violation"));
}

test("a violation names its key and the operation that fits nowhere", () => {
  const other = parse("1 read -> null [1, 2]").map((operation) => ({ ...operation, key: "a" }));
  const result = checkLinearizability([...other, ...parse(BAD["a stale read"] as string)]);
  ok(result.verdict === "violation");
  equal(result.key, "k");
  match(result.reason, /client 2 read -> 1 \[5, 6\] fits nowhere; 2 operations before it do/);
});

test("beyond its budget it does not decide", () => {
  const result = checkLinearizability(parse(GOOD["one after the other"] as string), { stepsMax: 2 });
  equal(result.verdict, "undecided");
});

/** Runs a real register and list, with operations that take effect at a moment between call and return, or after it if unknown. */
function simulateHistory(seed: number, count: number): Operation[] {
  const random = new SeededRandom(seed, "history");
  const values = new Map<string, unknown>();
  const drafts = Array.from({ length: count }, (_, i) => {
    const key = random.pick(["r", "l"]);
    const call = random.below(count * 4);
    const op = key === "l" ? random.pick(["append", "read"] as const) : random.pick(["read", "write", "cas"] as const);
    const outcome = random.chance(1, 8) ? ("unknown" as const) : ("ok" as const);
    const effect = call + random.below(outcome === "ok" ? 10 : 60);
    return {
      client: i,
      op,
      key,
      call,
      outcome,
      effect,
      end: effect + random.below(10),
      i,
      happens: outcome === "ok" || random.chance(1, 2),
    };
  });
  const operations: Operation[] = [];
  for (const draft of drafts.sort((a, b) => a.effect - b.effect || a.i - b.i)) {
    const { client, op, key, call, outcome, end, i, happens } = draft;
    const now = values.get(key) ?? (key === "l" ? [] : null);
    const input = op === "cas" ? { expected: random.chance(1, 2) ? now : -1, new: i } : op === "read" ? null : i;
    const output = op === "read" ? now : op === "cas" ? (input as { expected: unknown }).expected === now : null;
    if (happens && op === "write") values.set(key, input);
    if (happens && op === "cas" && output === true) values.set(key, i);
    if (happens && op === "append") values.set(key, [...(now as number[]), i]);
    const isOk = outcome === "ok";
    operations.push({ client, op, key, input, output: isOk ? output : null, call, return: isOk ? end : null, outcome });
  }
  return operations.sort((a, b) => a.call - b.call);
}

test("every history of a real register and list passes", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1_000_000 }), fc.integer({ min: 1, max: 120 }), (seed, count) => {
      deepEqual(checkLinearizability(simulateHistory(seed, count)).verdict, "ok");
    }),
    { numRuns: 200 },
  );
});

/** All orders, by brute force: slow, and too simple to be wrong. */
function bruteForce(operations: readonly Operation[], value: unknown = null): boolean {
  const open = operations.filter(({ outcome }) => outcome === "ok");
  if (open.length === 0) return true;
  const firstReturn = Math.min(...open.map((operation) => operation.return ?? Number.POSITIVE_INFINITY));
  return operations.some((operation, i) => {
    const { op, input, output, outcome } = operation;
    if (operation.call > firstReturn) return false;
    const rest = operations.filter((_, j) => j !== i);
    if (op === "read") return outcome === "unknown" || output === value ? bruteForce(rest, value) : false;
    if (op === "write") return bruteForce(rest, input);
    const { expected, new: next } = input as { expected: unknown; new: unknown };
    if (outcome === "ok" && (expected === value) !== output) return false;
    return bruteForce(rest, expected === value ? next : value);
  });
}

test("agrees with a brute-force search on small histories, right and wrong ones", () => {
  const verdicts = { ok: 0, violation: 0 };
  const operation = fc.record({
    op: fc.constantFrom("read" as const, "write" as const, "cas" as const),
    value: fc.integer({ min: 0, max: 2 }),
    expected: fc.constantFrom(null, 0, 1, 2),
    won: fc.boolean(),
    call: fc.integer({ min: 0, max: 12 }),
    took: fc.integer({ min: 0, max: 8 }),
    isUnknown: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(operation, { minLength: 1, maxLength: 6 }), (drafts) => {
      const operations = drafts.map(({ op, value, expected, won, call, took, isUnknown }, client): Operation => {
        const outcome = isUnknown && client % 2 === 0 ? "unknown" : "ok";
        const input = op === "cas" ? { expected, new: value } : op === "write" ? value : null;
        const output = op === "read" ? expected : op === "cas" ? won : null;
        return { client, op, key: "k", input, output, call, return: outcome === "ok" ? call + took : null, outcome };
      });
      const expected = bruteForce(operations) ? "ok" : "violation";
      verdicts[expected]++;
      equal(checkLinearizability(operations).verdict, expected);
    }),
    { numRuns: 2_000 },
  );
  ok(verdicts.ok > 200 && verdicts.violation > 200, "both kinds were there");
});

test("a recorder keeps the order of one process while time stands still, and leaves open what never returned", () => {
  const history = new History(() => 5);
  const first = history.begin(1, "write", "k", 1);
  history.begin(2, "append", "l", "x");
  first.ok(null);
  first.fail();
  const third = history.begin(1, "read", "k");
  third.ok(1);
  deepEqual(
    history.operations().map(({ op, call, return: end, outcome }) => [op, call, end, outcome]),
    [
      ["write", 5, 7, "ok"],
      ["append", 6, null, "unknown"],
      ["read", 8, 9, "ok"],
    ],
  );
  deepEqual([history.count("ok"), history.count("unknown"), history.count("fail")], [2, 1, 0]);
});

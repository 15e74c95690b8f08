import { deepEqual } from "node:assert/strict";
import { test } from "node:test";
import { checkExactlyOnce } from "./exactly-once.ts";

const counts = (ids: string): Map<string, number> => {
  const map = new Map<string, number>();
  for (const id of ids) map.set(id, (map.get(id) ?? 0) + 1);
  return map;
};

const rows: readonly [
  what: string,
  ada: string,
  bob: string,
  expected: Partial<ReturnType<typeof checkExactlyOnce>>,
][] = [
  ["all well", "abcu", "abcu", { unknownApplied: 1 }],
  ["unknown and not applied", "abc", "abc", { unknownApplied: 0 }],
  ["lost on one member", "abc", "ac", { lost: ["b"] }],
  ["twice on one member", "abc", "abbc", { duplicated: ["b"] }],
  ["an unknown one twice", "abcuu", "abcuu", { duplicated: ["u"], unknownApplied: 1 }],
  ["sent by nobody", "abcx", "abcx", { phantom: ["x"] }],
];

for (const [what, ada, bob, expected] of rows) {
  test(`exactly once: ${what}`, () => {
    const report = checkExactlyOnce({
      acknowledged: new Set("abc"),
      unknown: new Set("uv"),
      members: new Map([
        ["ada", counts(ada)],
        ["bob", counts(bob)],
      ]),
    });
    deepEqual(report, { lost: [], duplicated: [], phantom: [], unknownApplied: 0, ...expected });
  });
}

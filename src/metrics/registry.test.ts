import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { test } from "node:test";
import { AssertionError } from "../env/index.ts";
import { METRICS, type Metric, MetricsRegistry } from "./index.ts";

const sent: Metric = { name: "sent", kind: "counter", help: "What was sent." };
const open: Metric = { name: "open", kind: "gauge", help: 'A "help"\nwith a \\ in it.' };

test("writes each family once, sorted, with its series sorted", () => {
  const registry = new MetricsRegistry({ network: "n1" });
  registry.register(sent, () => 2, { group: "b" });
  registry.register(open, () => -1.5);
  registry.register(sent, () => 1, { group: "a" });
  equal(
    registry.text(),
    [
      '# HELP open A "help"\\nwith a \\\\ in it.',
      "# TYPE open gauge",
      'open{network="n1"} -1.5',
      "# HELP sent What was sent.",
      "# TYPE sent counter",
      'sent{group="a",network="n1"} 1',
      'sent{group="b",network="n1"} 2',
      "",
    ].join("\n"),
  );
});

test("reads the numbers when asked, not before", () => {
  const registry = new MetricsRegistry();
  let count = 0;
  registry.register(sent, () => count);
  count = 7;
  ok(registry.text().endsWith("\nsent 7\n"));
  count = 8;
  ok(registry.text().endsWith("\nsent 8\n"));
});

test("reads what belongs together once at a time", () => {
  const registry = new MetricsRegistry();
  let reads = 0;
  registry.registerTogether(
    () => ({ now: ++reads }),
    [
      [sent, ({ now }) => now],
      [open, ({ now }) => -now],
    ],
  );
  for (const count of [1, 2]) {
    const text = registry.text();
    ok(text.includes(`\nsent ${count}\n`) && text.includes(`\nopen -${count}\n`));
    equal(reads, count);
  }
});

test("escapes label values", () => {
  const registry = new MetricsRegistry();
  registry.register(sent, () => 1, { group: 'a"b\\c\nd' });
  ok(registry.text().includes('sent{group="a\\"b\\\\c\\nd"} 1\n'));
});

const numbers: readonly [value: number, text: string][] = [
  [0, "0"],
  [1e21, "1e+21"],
  [Number.MAX_SAFE_INTEGER, "9007199254740991"],
  [Number.POSITIVE_INFINITY, "+Inf"],
  [Number.NEGATIVE_INFINITY, "-Inf"],
  [Number.NaN, "NaN"],
];
for (const [value, text] of numbers) {
  test(`writes ${value} as ${text}`, () => {
    const registry = new MetricsRegistry();
    registry.register(open, () => value);
    ok(registry.text().endsWith(`\nopen ${text}\n`));
  });
}

test("what is removed is gone, and its family with the last", () => {
  const registry = new MetricsRegistry();
  const removeA = registry.register(sent, () => 1, { group: "a" });
  const removeB = registry.register(sent, () => 2, { group: "b" });
  removeA();
  removeA();
  deepEqual(registry.text().match(/^sent.*$/gm), ['sent{group="b"} 2']);
  removeB();
  equal(registry.text(), "");
  // The place is free again, and an old removal does not touch the new series.
  registry.register(sent, () => 3, { group: "b" });
  removeB();
  ok(registry.text().endsWith('sent{group="b"} 3\n'));
});

test("a second series of the same labels is a bug, and so is another meaning of a name", () => {
  const registry = new MetricsRegistry();
  registry.register(sent, () => 1, { a: "1", b: "2" });
  throws(() => registry.register(sent, () => 1, { b: "2", a: "1" }), AssertionError);
  throws(() => registry.register({ ...sent, kind: "gauge" }, () => 1), AssertionError);
  throws(() => registry.register({ ...sent, name: "has space" }, () => 1), AssertionError);
  throws(() => registry.register(sent, () => 1, { "not-a-word": "" }), AssertionError);
  throws(() => registry.register(sent, () => 1, { __reserved: "" }), AssertionError);
});

test("our own metrics can be registered together", () => {
  const registry = new MetricsRegistry({ network: "0123456789" });
  const metrics = Object.values(METRICS);
  for (const metric of metrics) registry.register(metric, () => 0);
  equal(registry.text().match(/^# TYPE mosaik_/gm)?.length, metrics.length);
});

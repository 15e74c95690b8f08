import { deepEqual, equal, ok } from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { CLOSE } from "../../wire/index.ts";
import { type Ended, endedBy, Retry } from "./retry.ts";

/** The shortest and the longest wait after each of so many ends in a row. */
function waits(ended: Ended, count: number): readonly (readonly [number, number])[] {
  const ofRandom = (random: number): number[] => {
    const retry = new Retry(() => random);
    return Array.from({ length: count }, () => {
      retry.onEnded(ended, 0);
      return retry.notBeforeMs;
    });
  };
  const longest = ofRandom(1);
  return ofRandom(0).map((shortest, i) => [shortest, longest[i] as number]);
}

describe("waits between tries", () => {
  const rows: readonly [ended: Ended, waits: readonly (readonly [number, number])[]][] = [
    [
      "outage",
      [
        [100, 250],
        [200, 500],
        [400, 1_000],
        [800, 2_000],
        [1_600, 4_000],
        [3_200, 8_000],
        [5_000, 10_000],
        [5_000, 10_000],
      ],
    ],
    [
      "introduction",
      [
        [50, 100],
        [100, 200],
        [200, 400],
        [400, 800],
        [800, 1_600],
        [1_000, 2_000],
        [1_000, 2_000],
      ],
    ],
    [
      "capacity",
      [
        [250, 1_000],
        [250, 1_000],
        [250, 1_000],
      ],
    ],
    [
      "early-refusal",
      [
        [100, 250],
        [200, 500],
        [400, 1_000],
      ],
    ],
    [
      "refusal",
      [
        [5_000, 7_500],
        [10_000, 15_000],
        [20_000, 30_000],
        [30_000, 60_000],
        [30_000, 60_000],
      ],
    ],
    [
      "stale",
      [
        [1_000, 2_000],
        [1_000, 2_000],
      ],
    ],
    [
      "restart",
      [
        [1_000, 1_500],
        [1_000, 1_500],
      ],
    ],
  ];
  for (const [ended, expected] of rows) {
    it(`after an end that means ${ended}`, () => deepEqual(waits(ended, expected.length), expected));
  }

  it("stay within bounds after any number of failures", () => {
    const [shortest, longest] = waits("outage", 5_000).at(-1) as [number, number];
    deepEqual([shortest, longest], [5_000, 10_000]);
  });

  it("begin anew when another kind of end comes", () => {
    const retry = new Retry(() => 1);
    for (let i = 0; i < 10; i += 1) retry.onEnded("outage", 0);
    retry.onEnded("refusal", 0);
    equal(retry.notBeforeMs, 7_500);
    equal(retry.failures, 11);
  });

  it("grow for each kind of end, so that who changes the reason does not set the pace", () => {
    const retry = new Retry(() => 0);
    for (let i = 0; i < 10; i += 1) {
      retry.onEnded("outage", 0);
      retry.onEnded("introduction", 0);
    }
    equal(retry.notBeforeMs, 1_000);
    retry.onEnded("outage", 0);
    equal(retry.notBeforeMs, 5_000);
    retry.onChange("life", 0);
    retry.onEnded("introduction", 0);
    equal(retry.notBeforeMs, 50);
  });

  it("begin anew after a link that was accepted, but not if it ended at once", () => {
    const retry = new Retry(() => 1);
    for (let i = 0; i < 3; i += 1) retry.onEnded("outage", 0);
    retry.onAccepted(0);
    equal(retry.failures, 0);
    retry.onEnded("outage", 999);
    equal(retry.notBeforeMs, 999 + 2_000);
    equal(retry.failures, 4);
    retry.onAccepted(5_000);
    retry.onEnded("outage", 6_000);
    equal(retry.notBeforeMs, 6_000 + 250);
    equal(retry.failures, 1);
  });

  it("are cut short by changes that may help, and by no others", () => {
    const cut = (ended: Ended): string[] =>
      (["life", "entry", "self"] as const).filter((change) => {
        const retry = new Retry(() => 1);
        retry.onEnded(ended, 0);
        const beforeMs = retry.notBeforeMs;
        retry.onChange(change, -1_000);
        ok(retry.notBeforeMs === beforeMs || retry.notBeforeMs === -750);
        return retry.notBeforeMs < beforeMs;
      });
    deepEqual(cut("outage"), ["life"]);
    deepEqual(cut("introduction"), ["life"]);
    deepEqual(cut("capacity"), ["life"]);
    deepEqual(cut("stale"), ["life", "entry"]);
    deepEqual(cut("restart"), ["life", "entry"]);
    deepEqual(cut("early-refusal"), ["life", "entry", "self"]);
    deepEqual(cut("refusal"), ["life", "entry", "self"]);
  });

  it("are never made longer by a change, nor as short as nothing", () => {
    const change = fc.constantFrom("life" as const, "entry" as const, "self" as const);
    fc.assert(
      fc.property(fc.array(fc.tuple(change, fc.nat(3_000))), fc.nat(99), (changes, percent) => {
        const retry = new Retry(() => percent / 100);
        retry.onEnded("refusal", 0);
        let beforeMs = retry.notBeforeMs;
        let nowMs = 0;
        for (const [what, laterMs] of changes) {
          nowMs += laterMs;
          retry.onChange(what, nowMs);
          ok(retry.notBeforeMs <= beforeMs && retry.notBeforeMs >= 50);
          beforeMs = retry.notBeforeMs;
        }
      }),
    );
  });

  it("are cut short by the peer's entry the less, the more often that was in vain", () => {
    const retry = new Retry(() => 0);
    const cut = (change: "entry" | "self"): number => {
      retry.onEnded("refusal", 0);
      retry.onChange(change, 0);
      return retry.notBeforeMs;
    };
    deepEqual([cut("entry"), cut("entry"), cut("entry")], [50, 100, 200]);
    deepEqual([cut("self"), cut("self")], [50, 50], "our own changes are no doing of the peer's");
    for (let i = 0; i < 50; i += 1) cut("entry");
    equal(cut("entry"), 3_200);
    retry.onAccepted(0);
    retry.onEnded("refusal", 1_000);
    retry.onChange("entry", 1_000);
    equal(retry.notBeforeMs, 1_050);
  });

  it("are cut short by a peer that starts anew all the time as little as by one that changes its entry", () => {
    const retry = new Retry(() => 0);
    const cutAt = (nowMs: number): number => {
      retry.onEnded("refusal", nowMs);
      retry.onChange("life", nowMs);
      return retry.notBeforeMs - nowMs;
    };
    deepEqual([cutAt(0), cutAt(1), cutAt(2), cutAt(3)], [50, 50, 100, 200]);
    equal(cutAt(20_000), 50, "one that lived for ten seconds began anew");
  });

  it("are not cut short by a peer that is dropped again and again", () => {
    const retry = new Retry(() => 0);
    const drop = (): number => {
      retry.onAccepted(0);
      retry.onDropped(0);
      return retry.notBeforeMs;
    };
    deepEqual([drop(), drop(), drop()], [50, 100, 200]);
    for (let i = 0; i < 50; i += 1) drop();
    equal(drop(), 3_200);
    retry.onAccepted(0);
    retry.onDropped(1_000);
    equal(retry.notBeforeMs, 1_050);
  });

  it("grow on while changes cut them short: entries change every minute", () => {
    const retry = new Retry(() => 1);
    for (let i = 0; i < 4; i += 1) {
      retry.onEnded("refusal", 0);
      retry.onChange("entry", 0);
    }
    retry.onEnded("refusal", 0);
    equal(retry.notBeforeMs, 60_000);
  });
});

describe("ends of links", () => {
  it("mean what they say", () => {
    const meant = (code: number): Ended => endedBy(code);
    equal(meant(CLOSE.unknownPeer), "introduction");
    equal(meant(CLOSE.streamNoCapacity), "capacity");
    equal(meant(CLOSE.streamNotFound), "stale");
    equal(meant(CLOSE.gracefulShutdown), "restart");
    for (const code of [CLOSE.streamNotAllowed, CLOSE.streamMismatch, CLOSE.protocolViolation])
      equal(meant(code), "refusal");
    for (const code of [CLOSE.streamTooSlow, CLOSE.unexpectedClose, CLOSE.cancelled, 0, -1, 99_999])
      equal(meant(code), "outage");
  });
});

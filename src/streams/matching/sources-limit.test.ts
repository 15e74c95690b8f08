import { deepEqual, ok } from "node:assert/strict";
import { describe, it } from "node:test";
import { candidate, type Name, SourcesBench, scoreOf } from "../../../test/streams/matching-kit.ts";
import { SeededRandom } from "../../env/index.ts";
import { CLOSE } from "../../wire/index.ts";

function bench(maxProducers: number, isPreferring = true): SourcesBench {
  return new SourcesBench({ maxProducers, prefer: isPreferring ? scoreOf : undefined });
}

/** All begin to advertise in one turn. */
function advertise(own: SourcesBench, scores: Partial<Record<Name, number>>): string[] {
  for (const [name, score] of Object.entries(scores)) own.sources.onPeer(candidate(name, { score }), own.nowMs);
  return own.lines();
}

describe("with a limit, a consumer", () => {
  it("connects to the best", () => {
    deepEqual(advertise(bench(2), { ada: 1, bob: 3, cyd: 2, dan: 0 }), ["connect bob", "connect cyd"]);
  });

  it("without a preference takes one by lot: many consumers spread over the producers", () => {
    const taken = new Map<string, number>();
    for (let seed = 1; seed <= 400; seed++) {
      const random = new SeededRandom(seed);
      const own = new SourcesBench({ maxProducers: 1, random: () => random.below(1_000_000) / 1_000_000 });
      const [line = ""] = advertise(own, { ada: 0, bob: 0, cyd: 0, dan: 0 });
      taken.set(line, (taken.get(line) ?? 0) + 1);
    }
    deepEqual([...taken.keys()].sort(), ["connect ada", "connect bob", "connect cyd", "connect dan"]);
    for (const count of taken.values()) ok(count > 60 && count < 140, `${count} of 400`);
  });

  it("without a preference, and by equal lots, takes them by id, and stays", () => {
    const own = bench(2, false);
    deepEqual(advertise(own, { cyd: 0, bob: 0, dan: 0 }), ["connect bob", "connect cyd"]);
    own.accepted("bob");
    own.accepted("cyd");
    deepEqual(own.peer("ada"), []);
    deepEqual(own.pass(60_000), []);
    deepEqual(own.closed("cyd", CLOSE.unexpectedClose), ["connect ada"]);
  });

  it("takes the next one for one that fails, and does not wait for it", () => {
    const own = bench(1);
    advertise(own, { ada: 9, bob: 1 });
    deepEqual(own.closed("ada", CLOSE.unexpectedClose), ["connect bob"]);
    deepEqual(own.states(), { ada: "waiting", bob: "connecting" });
  });

  it("takes the next one too while one is slow to answer, and keeps the better one", () => {
    const own = bench(1);
    advertise(own, { ada: 9, bob: 1, cyd: 0 });
    deepEqual(own.pass(3_000), ["2000 ms: connect bob"]);
    deepEqual(own.accepted("bob"), []);
    deepEqual(own.accepted("ada"), ["disconnect bob 102"]);
    deepEqual(own.states(), { ada: "connected", bob: "waiting", cyd: "idle" });
    deepEqual(own.pass(60_000), []);
  });

  it("moves to a clearly better one: not at once, and the new link is there before the old one goes", () => {
    const own = bench(1);
    advertise(own, { ada: 1 });
    own.accepted("ada");
    deepEqual(own.peer("bob", { score: 2 }), []);
    deepEqual(own.pass(5_500), ["5000 ms: connect bob"]);
    deepEqual(own.states(), { ada: "connected", bob: "connecting" });
    deepEqual(own.accepted("bob"), ["disconnect ada 102"]);
    deepEqual(own.pass(60_000), []);
  });

  it("does not move to a slightly better one", () => {
    const own = bench(1);
    advertise(own, { ada: 100 });
    own.accepted("ada");
    own.peer("bob", { score: 110 });
    deepEqual(own.pass(60_000), []);
    deepEqual(own.peer("bob", { score: 112, updateMs: 2 }), ["connect bob"]);
  });

  it("stays where it is when the better one does not admit it, and keeps trying", () => {
    const own = bench(1);
    advertise(own, { ada: 1 });
    own.accepted("ada");
    own.peer("bob", { score: 2 });
    own.pass(5_000);
    deepEqual(own.closed("bob", CLOSE.streamNoCapacity), []);
    deepEqual(own.pass(1_000), ["625 ms: connect bob"]);
    deepEqual(own.states(), { ada: "connected", bob: "connecting" });
  });

  it("does not leave when the better one got worse meanwhile", () => {
    const own = bench(1);
    advertise(own, { ada: 1 });
    own.accepted("ada");
    own.peer("bob", { score: 2 });
    own.pass(5_000);
    deepEqual(own.peer("bob", { score: 0, updateMs: 2 }), []);
    deepEqual(own.accepted("bob"), ["disconnect bob 102"]);
    deepEqual(own.pass(60_000), []);
  });

  it("moves one at a time, from the worst", () => {
    const own = bench(2);
    advertise(own, { ada: 1, bob: 2 });
    own.accepted("ada");
    own.accepted("bob");
    own.pass(10_000);
    deepEqual(advertise(own, { cyd: 8, dan: 9 }), ["connect dan"]);
    deepEqual(own.accepted("dan"), ["disconnect ada 102", "connect cyd"]);
    deepEqual(own.accepted("cyd"), ["disconnect bob 102"]);
  });

  it("that lost its link while it moved stays with the new one", () => {
    const own = bench(1);
    advertise(own, { ada: 1 });
    own.accepted("ada");
    own.peer("bob", { score: 2 });
    own.pass(5_000);
    deepEqual(own.closed("ada", CLOSE.unexpectedClose), []);
    deepEqual(own.accepted("bob"), []);
    deepEqual(own.states(), { ada: "waiting", bob: "connected" });
  });

  it("looks at the tickets of those alone that it would take", () => {
    const own = new SourcesBench({ maxProducers: 1, prefer: scoreOf, needsTickets: true });
    deepEqual(advertise(own, { ada: 9, bob: 5, cyd: 1 }), ["validate ada 1/1"]);
    deepEqual(own.verdict("ada", "refused"), ["validate bob 1/1"]);
    deepEqual(own.verdict("bob", { validUntilMs: undefined }), ["connect bob"]);
    deepEqual(own.states(), { ada: "idle", bob: "connecting", cyd: "idle" });
  });

  it("of zero hears nobody", () => deepEqual(advertise(bench(0), { ada: 1 }), []));
});

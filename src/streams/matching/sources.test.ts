import { deepEqual, equal } from "node:assert/strict";
import { describe, it } from "node:test";
import { candidate, idOf, SourcesBench } from "../../../test/streams/matching-kit.ts";
import { CLOSE } from "../../wire/index.ts";

/** After this a refusal is not taken for one of what we were. */
const SPREAD_MS = 10_000;

/** A bench with ada connected. */
function connected(options: ConstructorParameters<typeof SourcesBench>[0] = {}): SourcesBench {
  const bench = new SourcesBench(options);
  bench.peer("ada", { tags: ["good"], rttMs: 1 });
  bench.accepted("ada");
  deepEqual(bench.states(), { ada: "connected" });
  return bench;
}

describe("a consumer connects", () => {
  it("at once, to all that fit, by id, and once only", () => {
    const bench = new SourcesBench({ rule: { tags: "good" } });
    bench.sources.onPeer(candidate("cyd", { tags: ["good"] }), 1);
    bench.sources.onPeer(candidate("ada", { tags: ["good"] }), 1);
    bench.sources.onPeer(candidate("bob", { tags: ["bad"] }), 1);
    equal(bench.sources.nextAtMs, 1);
    deepEqual(bench.lines(), ["connect ada", "connect cyd"]);
    deepEqual(bench.peer("ada", { tags: ["good"] }), []);
    deepEqual(bench.accepted("ada"), []);
    deepEqual(bench.accepted("ada"), []);
    deepEqual(bench.states(), { ada: "connected", bob: "idle", cyd: "connecting" });
  });

  it("when a peer comes to fit, and not while its round trip is not measured", () => {
    const bench = new SourcesBench({ rule: { maxRttMs: 10 } });
    deepEqual(bench.peer("ada"), []);
    deepEqual(bench.peer("ada", { rttMs: 11 }), []);
    deepEqual(bench.peer("ada", { rttMs: 10 }), ["connect ada"]);
  });

  it("to 64 at a time, and to more when some have answered or are slow to", () => {
    const bench = new SourcesBench();
    const ids = Array.from({ length: 100 }, (_, i) => idOf(`peer ${i}`));
    for (const id of ids)
      bench.sources.onPeer({ ...candidate("ada"), peer: { ...candidate("ada").peer, id } }, bench.nowMs);
    const first = bench.sources.takeEffects();
    equal(first.length, 64);
    for (const effect of first.slice(0, 4)) if ("id" in effect) bench.sources.onAccepted(effect.id, bench.nowMs);
    equal(bench.sources.takeEffects().length, 4);
    deepEqual(bench.pass(1_999), []);
    equal(bench.pass(1).length, 32);
  });
});

describe("a consumer disconnects", () => {
  it("from who fits no more, and connects when it fits again, after a moment", () => {
    const bench = connected({ rule: { tags: "good" } });
    deepEqual(bench.peer("ada", { updateMs: 2 }), ["disconnect ada 102"]);
    deepEqual(bench.peer("ada", { updateMs: 3, tags: ["good"] }), []);
    deepEqual(bench.pass(1_000), ["150 ms: connect ada"]);
  });

  it("from who does not advertise any more, also before it is accepted, and forgets it", () => {
    const bench = connected();
    bench.peer("bob");
    deepEqual(bench.gone("ada"), ["disconnect ada 102"]);
    deepEqual(bench.gone("bob"), ["disconnect bob 102"]);
    deepEqual(bench.gone("bob"), []);
    deepEqual(bench.states(), {});
    equal(bench.sources.nextAtMs, undefined);
  });

  it("from who does not admit it in time, and tries again", () => {
    const bench = new SourcesBench();
    bench.peer("ada");
    deepEqual(bench.pass(21_000), ["20000 ms: disconnect ada 102", "20175 ms: connect ada"]);
  });

  it("and connects, when one goes and comes in one turn", () => {
    const bench = connected();
    bench.sources.onGone(idOf("ada"), bench.nowMs);
    deepEqual(bench.peer("ada"), ["disconnect ada 102", "connect ada"]);
  });
});

describe("between an event and its effects", () => {
  it("a link that ends by itself is not ended again, nor is the next one", () => {
    const bench = connected();
    bench.sources.onGone(idOf("ada"), bench.nowMs);
    bench.sources.onClosed(idOf("ada"), { code: CLOSE.gracefulShutdown }, bench.nowMs);
    deepEqual(bench.lines(), []);
    bench.peer("bob");
    bench.sources.onGone(idOf("bob"), bench.nowMs);
    bench.sources.onPeer(candidate("bob"), bench.nowMs);
    bench.sources.onClosed(idOf("bob"), { code: CLOSE.gracefulShutdown }, bench.nowMs);
    deepEqual(bench.lines(), ["connect bob"]);
  });

  it("a peer may leave that was to be told of us", () => {
    const bench = connected();
    bench.sources.onClosed(idOf("ada"), { code: CLOSE.unknownPeer }, bench.nowMs);
    bench.sources.onGone(idOf("ada"), bench.nowMs);
    deepEqual(bench.lines(), []);
  });
});

describe("events that make no sense", () => {
  it("are ignored", () => {
    const bench = new SourcesBench({ needsTickets: true });
    deepEqual(bench.accepted("ada"), []);
    deepEqual(bench.closed("ada", CLOSE.unknownPeer), []);
    deepEqual(bench.verdict("ada", { validUntilMs: undefined }), []);
    deepEqual(bench.gone("ada"), []);
    deepEqual(bench.peer("ada"), ["validate ada 1/1"]);
    deepEqual(bench.accepted("ada"), []);
    deepEqual(bench.closed("ada", CLOSE.success), []);
    deepEqual(bench.states(), { ada: "validating" });
  });

  it("an older entry is ignored", () => {
    const bench = new SourcesBench({ rule: { tags: "good" } });
    bench.peer("ada", { startMs: 2, tags: ["good"] });
    deepEqual(bench.peer("ada", { startMs: 1, updateMs: 9 }), []);
  });

  it("time never goes back", () => {
    const bench = connected();
    bench.nowMs = 500;
    bench.closed("ada", CLOSE.unexpectedClose);
    equal((bench.sources.nextAtMs ?? 0) > 1_000, true);
  });
});

describe("a link that ended", () => {
  const rows: readonly [what: string, code: number, next: readonly string[]][] = [
    ["broke: soon", CLOSE.unexpectedClose, ["175 ms: connect ada"]],
    ["because we were too slow: soon", CLOSE.streamTooSlow, ["175 ms: connect ada"]],
    [
      "because it does not know us: it is told, and asked again",
      CLOSE.unknownPeer,
      ["introduce ada", "75 ms: connect ada"],
    ],
    ["for want of room: within a second", CLOSE.streamNoCapacity, ["625 ms: connect ada"]],
    ["since the peer closes: in a second", CLOSE.gracefulShutdown, ["1250 ms: connect ada"]],
    ["as there is no such stream: in two seconds", CLOSE.streamNotFound, ["1500 ms: connect ada"]],
    ["since we may not: much later", CLOSE.streamNotAllowed, ["6250 ms: connect ada"]],
    ["with another codec: much later", CLOSE.streamMismatch, ["6250 ms: connect ada"]],
    ["with nonsense: much later", CLOSE.protocolViolation, ["6250 ms: connect ada"]],
  ];
  for (const [what, code, next] of rows) {
    it(what, () => {
      const bench = connected();
      bench.pass(SPREAD_MS);
      deepEqual([...bench.closed("ada", code), ...bench.pass(8_000)], next);
    });
  }

  it("is tried again for ever", () => {
    const bench = connected();
    let tries = 0;
    for (let i = 0; i < 200; i += 1) {
      bench.closed("ada", CLOSE.unexpectedClose);
      tries += bench.pass(10_000).length;
    }
    equal(tries, 200);
  });

  it("is tried again at once by a new life of the peer, and not for the entry of the same", () => {
    const bench = connected();
    for (let i = 0; i < 9; i += 1) {
      bench.closed("ada", CLOSE.unexpectedClose);
      if (i < 8) bench.pass(10_000);
    }
    bench.peer("ada", { updateMs: 2 });
    deepEqual(bench.pass(1_000), []);
    bench.peer("ada", { startMs: 2 });
    deepEqual(bench.pass(1_000), ["150 ms: connect ada"]);
  });
});

describe("a refusal", () => {
  it("waits twice as long each time, until the peer's entry or our own changes", () => {
    const bench = connected();
    bench.pass(SPREAD_MS);
    const waits: string[] = [];
    for (let i = 0; i < 5; i += 1) {
      bench.closed("ada", CLOSE.streamMismatch);
      waits.push(...bench.passUntilNext(60_000));
    }
    const expected = [6_250, 12_500, 25_000, 45_000, 45_000].map((ms) => `${ms} ms: connect ada`);
    deepEqual(waits, expected);
    bench.closed("ada", CLOSE.streamMismatch);
    bench.peer("ada", { updateMs: 2 });
    deepEqual(bench.pass(1_000), ["150 ms: connect ada"]);
    bench.closed("ada", CLOSE.streamMismatch);
    bench.sources.onSelfChanged(bench.nowMs);
    deepEqual(bench.pass(1_000), ["150 ms: connect ada"]);
  });

  it("soon after our own entry changed may mean the one before: it is asked again soon, but not for ever", () => {
    const bench = connected();
    bench.pass(SPREAD_MS);
    bench.sources.onSelfChanged(bench.nowMs);
    const waits: string[] = [];
    for (let i = 0; i < 7; i += 1) {
      bench.closed("ada", CLOSE.streamNotAllowed);
      waits.push(...bench.passUntilNext(60_000));
    }
    const expected = [175, 350, 700, 1_400, 2_800, 5_600, 6_250].map((ms) => `${ms} ms: connect ada`);
    deepEqual(waits, expected);
  });
});

describe("tickets", () => {
  const forever = { validUntilMs: undefined };

  it("are looked at before it connects, and again when their time is over", () => {
    const bench = new SourcesBench({ needsTickets: true });
    deepEqual(bench.peer("ada"), ["validate ada 1/1"]);
    deepEqual(bench.verdict("ada", { validUntilMs: bench.nowMs + 5_000 }), ["connect ada"]);
    bench.accepted("ada");
    deepEqual(bench.pass(6_000), ["5000 ms: validate ada 1/1"]);
    deepEqual(bench.states(), { ada: "connected" });
    deepEqual(bench.verdict("ada", { validUntilMs: bench.nowMs + 60_000 }), []);
    deepEqual(bench.pass(61_000), ["60000 ms: validate ada 1/1"]);
    deepEqual(bench.verdict("ada", "refused"), ["disconnect ada 102"]);
    deepEqual(bench.states(), { ada: "idle" });
  });

  it("that were refused are looked at again with another entry, and else after half a minute", () => {
    const bench = new SourcesBench({ needsTickets: true });
    bench.peer("ada");
    deepEqual(bench.verdict("ada", "refused"), []);
    deepEqual(bench.peer("ada", { updateMs: 2 }), []);
    deepEqual(bench.peer("ada", { updateMs: 3, tickets: ["new"] }), ["validate ada 1/3"]);
    deepEqual(bench.verdict("ada", "refused", { updateMs: 3 }), []);
    deepEqual(bench.pass(40_000), ["30000 ms: validate ada 1/3"]);
    deepEqual(bench.verdict("ada", forever, { updateMs: 3 }), ["connect ada"]);
  });

  it("are looked at again when they or the peer change, and the link stays meanwhile", () => {
    const bench = new SourcesBench({ needsTickets: true });
    bench.peer("ada", { tickets: ["one"] });
    bench.verdict("ada", forever);
    bench.accepted("ada");
    deepEqual(bench.peer("ada", { tickets: ["one"], updateMs: 2 }), [], "an entry that changes nothing");
    deepEqual(bench.peer("ada", { tickets: ["one"], rttMs: 3, updateMs: 2 }), [], "a round trip");
    deepEqual(bench.peer("ada", { tickets: ["one", "two"], updateMs: 3 }), ["validate ada 1/3"]);
    deepEqual(bench.verdict("ada", forever, { updateMs: 3 }), []);
    deepEqual(bench.peer("ada", { tickets: ["one", "two"], tags: ["new"], updateMs: 4 }), ["validate ada 1/4"]);
    deepEqual(bench.verdict("ada", "refused", { updateMs: 4 }), ["disconnect ada 102"]);
  });

  it("one question at a time: an answer about what is shown no more is not believed, and the next question follows", () => {
    const bench = new SourcesBench({ needsTickets: true });
    bench.peer("ada", { tickets: ["one"] });
    deepEqual(bench.peer("ada", { tickets: ["two"], updateMs: 2 }), []);
    deepEqual(bench.verdict("ada", forever), ["validate ada 1/2"]);
    deepEqual(bench.verdict("ada", forever), []);
    deepEqual(bench.verdict("ada", "refused", { updateMs: 9 }), []);
    deepEqual(bench.verdict("ada", forever, { updateMs: 2 }), ["connect ada"]);
  });

  it("an answer counts as long as the peer shows the same, under whatever version", () => {
    const bench = new SourcesBench({ needsTickets: true });
    bench.peer("ada", { tickets: ["one"] });
    bench.peer("ada", { tickets: ["one"], updateMs: 2 });
    deepEqual(bench.verdict("ada", forever), ["connect ada"]);
  });

  it("a peer that changes its entry again and again does not stay beyond ten seconds without good tickets", () => {
    const bench = new SourcesBench({ needsTickets: true });
    bench.peer("ada", { tickets: ["0"] });
    bench.verdict("ada", forever);
    bench.accepted("ada");
    const seen: string[] = [];
    for (let updateMs = 2; updateMs < 200; updateMs += 1) {
      seen.push(...bench.peer("ada", { tickets: [String(updateMs)], updateMs }));
      seen.push(...bench.verdict("ada", "refused", { updateMs: updateMs - 1 }));
      bench.nowMs += 100;
    }
    const cut = seen.indexOf("disconnect ada 102");
    equal(seen.slice(0, cut).length, 100);
    equal(seen.slice(cut + 1).includes("connect ada"), false);
  });

  it("a validator that never answers holds nobody for longer than ten seconds", () => {
    const bench = new SourcesBench({ needsTickets: true, maxProducers: 1 });
    bench.peer("ada");
    bench.peer("bob");
    deepEqual(bench.pass(2_000), ["2000 ms: validate bob 1/1"]);
    deepEqual(bench.verdict("bob", forever), ["connect bob"]);
    bench.accepted("bob");
    bench.pass(8_000);
    deepEqual(bench.states(), { ada: "idle", bob: "connected" });
  });

  it("that end now, or at no time, are refused; a far end is no reason to wait for ever", () => {
    for (const validUntilMs of [1_000, 0, Number.NaN]) {
      const bench = new SourcesBench({ needsTickets: true });
      bench.peer("ada");
      deepEqual(bench.verdict("ada", { validUntilMs }), []);
    }
    const bench = new SourcesBench({ needsTickets: true });
    bench.peer("ada");
    bench.verdict("ada", { validUntilMs: 8.64e15 });
    bench.accepted("ada");
    bench.pass(SPREAD_MS);
    equal(bench.sources.nextAtMs, 1_000 + 5_000 + 3_600_000);
  });

  it("that end soon again and again are asked about ten times a second at most", () => {
    const bench = new SourcesBench({ needsTickets: true });
    bench.peer("ada");
    bench.verdict("ada", { validUntilMs: bench.nowMs + 1 });
    bench.accepted("ada");
    deepEqual(bench.pass(100), ["100 ms: validate ada 1/1"]);
  });
});

describe("the user's own functions", () => {
  it("that throw make a peer not fit; the first cause is told once", () => {
    const bench = new SourcesBench({
      rule: {
        where: ({ tags }) => {
          if (tags.has("bad")) throw new Error("of where");
          return true;
        },
      },
    });
    equal(bench.sources.takeProblem(), undefined);
    deepEqual(bench.peer("ada", { tags: ["bad"] }), []);
    deepEqual(bench.peer("bob", { tags: ["good"] }), ["connect bob"]);
    equal(String(bench.sources.takeProblem()?.cause), "Error: of where");
    bench.peer("ada", { tags: ["bad"], updateMs: 2 });
    equal(bench.sources.takeProblem(), undefined);
    deepEqual(bench.peer("bob", { tags: ["bad"], updateMs: 2 }), ["disconnect bob 102"]);
  });
});

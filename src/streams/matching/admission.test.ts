import { deepEqual, equal, throws } from "node:assert/strict";
import { describe, it } from "node:test";
import { AdmissionBench, judgementLine, NAMES } from "../../../test/streams/matching-kit.ts";

const forever = { validUntilMs: undefined };

describe("a producer admits", () => {
  it("whom the catalog has, while there is room, if the rule takes it", () => {
    const bench = new AdmissionBench({ rule: { tags: "good" }, maxConsumers: 2 });
    equal(bench.enter("1", undefined), "refuse 401");
    equal(bench.enter("2", "ada"), "refuse 10403");
    equal(bench.enter("3", "ada", { tags: ["good"] }), "admit");
    equal(bench.enter("4", "bob", { tags: ["good"] }), "admit");
    equal(bench.enter("5", "cyd", { tags: ["good"] }), "refuse 10509");
    equal(bench.enter("6", undefined), "refuse 401", "being known comes before room");
    equal(bench.enter("7", "cyd"), "refuse 10509", "room comes before the rule");
    deepEqual(bench.lines(), []);
    deepEqual(bench.leave("3"), []);
    equal(bench.enter("8", "cyd", { tags: ["good"] }), "admit");
    equal(bench.admission.nextAtMs !== undefined, true);
    deepEqual(bench.lines(), []);
    equal(bench.admission.nextAtMs, undefined);
  });

  it("several consumers of one peer, each in a place of its own", () => {
    const bench = new AdmissionBench({ maxConsumers: 2 });
    equal(bench.enter("1", "ada"), "admit");
    equal(bench.enter("2", "ada"), "admit");
    equal(bench.enter("3", "ada"), "refuse 10509");
    bench.leave("1");
    bench.leave("1");
    equal(bench.admission.size, 1);
    equal(bench.enter("4", "ada"), "admit");
  });

  it("nobody twice", () => {
    const bench = new AdmissionBench();
    bench.enter("1", "ada");
    throws(() => bench.enter("1", "ada"), /one place/);
  });
});

describe("a place", () => {
  it("ends when the peer fits no more, also of one that came again right after it was put out", () => {
    const bench = new AdmissionBench({ rule: { tags: "good" } });
    bench.enter("1", "ada", { tags: ["good"] });
    deepEqual(bench.peer("ada", { updateMs: 2 }), ["remove 1 10403"]);
    equal(bench.enter("2", "ada", { tags: ["good"], updateMs: 3 }), "admit");
    deepEqual(bench.lines(), []);
    deepEqual(bench.peer("ada", { updateMs: 4 }), ["remove 2 10403"]);
  });

  it("ends when the peer fits no more, for each of its consumers", () => {
    const bench = new AdmissionBench({ rule: { tags: "good" } });
    bench.enter("1", "ada", { tags: ["good"] });
    bench.enter("2", "ada", { tags: ["good"] });
    bench.enter("3", "bob", { tags: ["good"] });
    deepEqual(bench.peer("cyd"), []);
    deepEqual(bench.peer("ada", { updateMs: 2 }), ["remove 1 10403", "remove 2 10403"]);
    equal(bench.admission.size, 1);
    deepEqual(bench.leave("1"), []);
    equal(bench.enter("1", "ada", { updateMs: 3, tags: ["good"] }), "admit");
  });

  it("ends too when the newer entry comes with another of its consumers", () => {
    const bench = new AdmissionBench({ rule: { tags: "good" } });
    bench.enter("1", "ada", { tags: ["good"] });
    equal(bench.enter("2", "ada", { updateMs: 2 }), "refuse 10403");
    deepEqual(bench.lines(), ["remove 1 10403"]);
  });

  it("does not end for an older entry, nor when the peer leaves the catalog", () => {
    const bench = new AdmissionBench({ rule: { tags: "good" } });
    bench.enter("1", "ada", { startMs: 5, tags: ["good"] });
    deepEqual(bench.peer("ada", { startMs: 4, updateMs: 9 }), []);
    deepEqual(bench.gone("ada"), []);
    equal(bench.admission.size, 1);
    deepEqual(bench.peer("ada", { startMs: 4 }), ["remove 1 10403"], "forgotten, it may count anew");
  });

  it("ends with a `where` that throws, which is told once", () => {
    const cause = new Error("of where");
    const where = (peer: { tags: ReadonlySet<string> }): boolean => {
      if (peer.tags.has("bad")) throw cause;
      return true;
    };
    const bench = new AdmissionBench({ rule: { where } });
    bench.enter("1", "ada");
    deepEqual(bench.peer("ada", { updateMs: 2, tags: ["bad"] }), ["remove 1 10403"]);
    deepEqual(bench.admission.takeProblem(), { cause });
    equal(bench.admission.takeProblem(), undefined);
  });
});

describe("a round trip", () => {
  it("is waited for, five seconds, in a place", () => {
    const bench = new AdmissionBench({ rule: { maxRttMs: 10 }, maxConsumers: 2 });
    equal(bench.enter("1", "ada"), "wait");
    equal(bench.enter("2", "bob"), "wait");
    equal(bench.enter("3", "cyd", { rttMs: 1 }), "refuse 10509");
    deepEqual(bench.peer("ada", { rttMs: 5 }), ["admit 1"]);
    deepEqual(bench.pass(6_000), ["5000 ms: remove 2 10403"]);
    equal(bench.enter("3", "cyd", { rttMs: 11 }), "refuse 10403");
    deepEqual(bench.peer("ada", { rttMs: 11 }), ["remove 1 10403"]);
  });
});

describe("tickets", () => {
  it("are looked at once for all consumers of a peer, who wait meanwhile and have their places", () => {
    const bench = new AdmissionBench({ needsTickets: true, maxConsumers: 3 });
    equal(bench.enter("1", "ada"), "wait");
    equal(bench.enter("2", "ada"), "wait");
    equal(bench.enter("3", "bob"), "wait");
    equal(bench.enter("4", "cyd"), "refuse 10509");
    deepEqual(bench.lines(), ["validate ada 1/1", "validate bob 1/1"]);
    deepEqual(bench.verdict("bob", "refused"), ["remove 3 10403"]);
    deepEqual(bench.verdict("ada", forever), ["admit 1", "admit 2"]);
    equal(bench.enter("5", "ada"), "admit");
  });

  it("are looked at again at their end: who is here stays meanwhile, who comes waits", () => {
    const bench = new AdmissionBench({ needsTickets: true });
    bench.enter("1", "ada");
    bench.lines();
    bench.verdict("ada", { validUntilMs: bench.nowMs + 5_000 });
    deepEqual(bench.pass(6_000), ["5000 ms: validate ada 1/1"]);
    equal(bench.enter("2", "ada"), "wait");
    deepEqual(bench.verdict("ada", { validUntilMs: bench.nowMs + 5_000 }), ["admit 2"]);
    deepEqual(bench.pass(6_000), ["5000 ms: validate ada 1/1"]);
    deepEqual(bench.verdict("ada", "refused"), ["remove 1 10403", "remove 2 10403"]);
    equal(bench.enter("3", "ada"), "wait", "nothing is remembered of who has no consumer here");
  });

  it("are looked at again when they change; an answer about the former ones does not count", () => {
    const bench = new AdmissionBench({ needsTickets: true });
    bench.enter("1", "ada", { tickets: ["one"] });
    bench.lines();
    bench.verdict("ada", forever);
    deepEqual(bench.peer("ada", { tickets: ["one"], updateMs: 2 }), []);
    deepEqual(bench.peer("ada", { tickets: ["two"], updateMs: 3 }), ["validate ada 1/3"]);
    deepEqual(bench.peer("ada", { tickets: ["six"], updateMs: 4 }), []);
    deepEqual(bench.verdict("ada", "refused", { updateMs: 3 }), ["validate ada 1/4"]);
    deepEqual(bench.verdict("ada", forever, { updateMs: 3 }), []);
    deepEqual(bench.verdict("ada", "refused", { updateMs: 4 }), ["remove 1 10403"]);
  });

  it("end when they end, also of a peer that has left the catalog and comes back with an older count", () => {
    const bench = new AdmissionBench({ needsTickets: true });
    bench.enter("1", "ada", { startMs: 7 });
    bench.lines();
    bench.verdict("ada", { validUntilMs: bench.nowMs + 5_000 }, { startMs: 7 });
    bench.gone("ada");
    deepEqual(bench.peer("ada", { startMs: 3 }), []);
    deepEqual(bench.pass(5_000), ["5000 ms: validate ada 3/1"]);
    deepEqual(bench.verdict("ada", { validUntilMs: bench.nowMs + 1_000 }, { startMs: 3 }), []);
    deepEqual(bench.pass(1_000), ["1000 ms: validate ada 3/1"]);
    deepEqual(bench.verdict("ada", "refused", { startMs: 3 }), ["remove 1 10403"]);
  });

  it("that nobody answers for are refused after ten seconds", () => {
    const bench = new AdmissionBench({ needsTickets: true, maxConsumers: 1 });
    bench.enter("1", "ada");
    deepEqual(bench.pass(20_000), ["validate ada 1/1", "10000 ms: remove 1 10403"]);
    equal(bench.enter("2", "bob"), "wait");
  });
});

it("a hundred that come at once do not take more places than there are", () => {
  const bench = new AdmissionBench({ needsTickets: true, maxConsumers: 3 });
  const judged = Array.from({ length: 100 }, (_, i) => bench.enter(String(i), NAMES[i % NAMES.length] ?? "ada"));
  equal(judged.filter((line) => line === "wait").length, 3);
  equal(judged.filter((line) => line === judgementLine({ type: "refuse", code: 10509, reason: "" })).length, 97);
  bench.lines();
  for (const name of NAMES) bench.verdict(name, forever);
  equal(bench.admission.size, 3);
});

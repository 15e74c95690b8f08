import { deepEqual, equal, rejects } from "node:assert/strict";
import { describe, it } from "node:test";
import { LIMITS } from "../env/index.ts";
import { UniqueId } from "../identity/index.ts";
import { DecodeError } from "./byte-reader.ts";
import { encodeFrame, KIND } from "./frames.ts";
import type { HandshakeError, InitiateLinkOptions } from "./handshake.ts";
import {
  Bench,
  closeOf,
  DATA,
  kindsWritten,
  NETWORK,
  type Overrides,
  PROOF,
  Recorder,
  text,
} from "./link-bench.test.ts";
import { CLOSE } from "./types.ts";

describe("the hello", () => {
  it("settles version, features and payloads on both sides alike", async () => {
    const bench = new Bench();
    const [ada, bob] = await bench.open(
      {},
      { hello: { versionMin: 2, versionMax: 9, network: NETWORK, features: 0b110 } },
    );

    const facts = ({ link }: Recorder) => [link.version, link.features, link.isInitiator, link.protocol, link.isOpen];
    deepEqual(facts(ada), [2, 0b100, true, "test/1", true]);
    deepEqual(facts(bob), [2, 0b100, false, "test/1", true]);
    deepEqual(ada.link.remotePayload, text("from bob"));
    deepEqual(bob.link.remotePayload, text("from ada"));
    deepEqual(ada.link.exportKey("x", PROOF, 8), bob.link.exportKey("x", PROOF, 8));
  });

  const refusals: [string, number, Overrides, Overrides][] = [
    ["another network", CLOSE.differentNetwork, {}, withHello({ network: UniqueId.from("other") })],
    ["a version range that is too new", CLOSE.versionMismatch, {}, withHello({ versionMin: 3, versionMax: 4 })],
    ["a version range that is too old", CLOSE.versionMismatch, withHello({ versionMin: 3, versionMax: 4 }), {}],
    ["a wrong proof", CLOSE.invalidProof, { proofs: { prove: () => text("guess"), verify: () => true } }, {}],
    ["no proof", CLOSE.invalidProof, { proofs: { prove: () => new Uint8Array(0), verify: () => true } }, {}],
    ["a refusal of the protocol", 30_403, {}, { accept: () => ({ refuse: 30_403, reason: "not you" }) }],
    [
      "a payload that the protocol cannot decode",
      CLOSE.protocolViolation,
      {},
      {
        accept: () => {
          throw new DecodeError("nonsense");
        },
      },
    ],
  ];
  for (const [name, code, ada, bob] of refusals) {
    it(`ends with ${code} on both sides: ${name}`, async () => {
      const bench = new Bench();
      const ends = await bench.refusal(ada, bob);
      deepEqual([ends.ada.code, ends.ada.by], [code, "peer"]);
      deepEqual([ends.bob.code, ends.bob.by], [code, "us"]);
      equal(ends.ada.reason, ends.bob.reason);
      deepEqual(bench.bugs, []);
    });
  }

  it("is answered only after the proof, so that a stranger learns nothing", async () => {
    const bench = new Bench();
    await bench.refusal({ proofs: { prove: () => text("guess"), verify: () => true } }, {});
    deepEqual(kindsWritten(bench.bob), [KIND.close]);
  });

  it("is refused by the initiator when the acceptor proves nothing", async () => {
    const bench = new Bench();
    // The acceptor believes that the link is up, until it reads the close.
    const accepted = bench.accept({ proofs: { prove: () => new Uint8Array(0), verify: () => true } });
    const initiated = rejects(bench.initiate(), (error: HandshakeError) => error.close.code === CLOSE.invalidProof);
    const bob = accepted.then((link) => new Recorder(link));
    await bench.world.advance(LIMITS.closeTimeoutMs);
    await initiated;
    deepEqual((await bob).log, [`closed ${CLOSE.invalidProof} by peer`]);
    bench.assertQuiet();
  });

  it("has its time: a peer that says nothing is cut off", async () => {
    const bench = new Bench();
    const initiated = Promise.allSettled([bench.initiate({ handshakeTimeoutMs: 700 })]);
    bench.bob.start({ onData: () => {}, onEnd: () => {}, onDrain: () => {}, onClose: () => {} });
    await bench.world.advance(699);
    equal(bench.ada.writes.length, 1);
    await bench.world.advance(1);
    const [result] = await initiated;
    deepEqual(result && closeOf(result), { code: CLOSE.handshakeTimeout, reason: "no hello in time", by: "us" });
    // It was told why, and did not answer, so the stream is destroyed in the end.
    deepEqual(kindsWritten(bench.ada), [KIND.hello, KIND.close]);
    equal(bench.ada.isDestroyed, false);
    await bench.world.advance(LIMITS.closeTimeoutMs);
    bench.assertQuiet();
  });

  it("is aborted by the signal, before and during", async () => {
    const before = new Bench();
    await rejects(before.initiate({ signal: AbortSignal.abort(new Error("too late")) }), /too late/);
    equal(before.ada.isDestroyed, true);

    const during = new Bench();
    const controller = new AbortController();
    const initiated = rejects(during.initiate({ signal: controller.signal }), /changed my mind/);
    await during.world.advance(10);
    controller.abort(new Error("changed my mind"));
    await initiated;
    await during.world.advance();
    equal(during.ada.isDestroyed, true);
    equal(during.world.timers.size, 0);
  });

  it("over, the signal has no effect", async () => {
    const bench = new Bench();
    const controller = new AbortController();
    const [ada] = await bench.open({ signal: controller.signal });
    controller.abort();
    await bench.world.advance();
    equal(ada.link.isOpen, true);
  });

  it("reports a bug of the acceptor's own, and leaves nothing behind", async () => {
    const bench = new Bench();
    const bug = new TypeError("oops");
    const ends = await bench.refusal(
      {},
      {
        accept: () => {
          throw bug;
        },
      },
    );
    deepEqual([ends.ada.code, ends.ada.by], [CLOSE.unexpectedClose, "none"]);
    deepEqual([ends.bob.code, ends.bob.by], [CLOSE.cancelled, "us"]);
    deepEqual(bench.bugs, [bug]);
  });

  const garbage: [string, Uint8Array, number][] = [
    ["an HTTP request", text("GET / HTTP/1.1\r\n\r\n"), CLOSE.versionMismatch],
    ["a frame of the protocol", encodeFrame(DATA, text("x")), CLOSE.protocolViolation],
    ["the header of a frame of the protocol", encodeFrame(DATA, text("x")).subarray(0, 6), CLOSE.protocolViolation],
    ["an empty frame of the protocol", encodeFrame(DATA, new Uint8Array(0)), CLOSE.protocolViolation],
    ["a truncated hello", encodeFrame(KIND.hello, text("abc")), CLOSE.protocolViolation],
    ["a frame longer than any hello", Uint8Array.of(0, 1, 0, 0, 1, KIND.hello), CLOSE.protocolViolation],
    ["a frame without room for its kind", Uint8Array.of(0, 0, 0, 1, 1, 0), CLOSE.protocolViolation],
    ["another frame version", Uint8Array.of(0, 0, 0, 2, 9, KIND.hello), CLOSE.versionMismatch],
    ["an unknown kind of the link", encodeFrame(9, new Uint8Array(0)), CLOSE.protocolViolation],
  ];
  for (const [name, bytes, code] of garbage) {
    it(`closes with ${code} on ${name}, however it is cut`, async () => {
      for (const chunkBytesMax of [1, 3, 1000]) {
        const bench = new Bench();
        bench.bob.chunkBytesMax = chunkBytesMax;
        const accepted = Promise.allSettled([bench.accept()]);
        bench.ada.start({ onData: () => {}, onEnd: () => bench.ada.end(), onDrain: () => {}, onClose: () => {} });
        bench.ada.write(bytes);
        await bench.world.advance();
        const [result] = await accepted;
        deepEqual(result && [closeOf(result).code, closeOf(result).by], [code, "us"]);
        deepEqual(kindsWritten(bench.bob), [KIND.close]);
        bench.assertQuiet();
      }
    });
  }
});

describe("frames of a link", () => {
  it("of one turn leave as one write, in order", async () => {
    const bench = new Bench();
    const [ada, bob] = await bench.open();
    const before = bench.ada.writes.length;
    for (const word of ["a", "b", "", "c"]) ada.link.send(DATA, text(word));
    equal(bench.ada.writes.length, before, "nothing leaves within the turn");
    await bench.world.advance();
    equal(bench.ada.writes.length, before + 1);
    deepEqual(bob.log, ["a", "b", "", "c"]);
  });

  it("with large payloads are not copied", async () => {
    const bench = new Bench();
    const [ada, bob] = await bench.open();
    const before = bench.ada.writes.length;
    const large = new Uint8Array(100_000).fill(65);
    ada.link.send(DATA, text("a"));
    ada.link.send(DATA, large);
    ada.link.send(DATA, text("b"));
    await bench.world.advance();
    const writes = bench.ada.writes.slice(before);
    deepEqual(
      writes.map((bytes) => bytes.length),
      [6 + 1 + 6, 100_000, 6 + 1],
    );
    equal(writes[1], large);
    deepEqual(bob.log, ["a", `${DATA}: 100000 bytes`, "b"]);
  });

  it("that came before start are kept until then, and reading stops", async () => {
    const bench = new Bench();
    const accepted = bench.accept();
    const ada = await connect(bench);
    ada.link.send(DATA, text("early"));
    await bench.world.advance();
    equal(bench.bob.isPaused, true);
    const bob = new Recorder(await accepted);
    deepEqual(bob.log, [], "not within start");
    await bench.world.advance();
    deepEqual(bob.log, ["early"]);
  });

  it("wait while paused, those that were decoded too", async () => {
    const bench = new Bench();
    const [ada, bob] = await bench.open();
    bob.at.set("b", () => bob.link.pause());
    for (const word of ["a", "b", "c", "d"]) ada.link.send(DATA, text(word));
    await bench.world.advance();
    deepEqual(bob.log, ["a", "b"]);
    equal(bench.bob.isPaused, true);
    bob.link.resume();
    deepEqual(bob.log, ["a", "b"], "not within resume");
    await bench.world.advance();
    deepEqual(bob.log, ["a", "b", "c", "d"]);
    equal(bench.bob.isPaused, false);
  });

  const wrong: [string, Uint8Array, number][] = [
    ["too long", Uint8Array.of(0, 0x10, 0, 3, 1, DATA), CLOSE.protocolViolation],
    ["of another version", Uint8Array.of(0, 0, 0, 2, 2, DATA), CLOSE.versionMismatch],
    ["that say hello again", encodeFrame(KIND.hello, new Uint8Array(0)), CLOSE.protocolViolation],
    ["that close with nonsense", encodeFrame(KIND.close, Uint8Array.of(0xff)), CLOSE.protocolViolation],
    ["that probe with a payload", encodeFrame(KIND.ping, Uint8Array.of(1)), CLOSE.protocolViolation],
  ];
  for (const [name, bytes, code] of wrong) {
    it(`${name} close the link with ${code}`, async () => {
      const bench = new Bench();
      const [ada, bob] = await bench.open();
      ada.link.send(DATA, text("good"));
      await bench.world.advance();
      bench.ada.write(bytes);
      await bench.world.advance(LIMITS.closeTimeoutMs);
      deepEqual(bob.log, ["good", `closed ${code} by us`]);
      deepEqual(ada.log, [`closed ${code} by peer`]);
      bench.assertQuiet();
    });
  }

  it("rest after so many, so that others have their turn; none is lost, nor the end after them", async () => {
    const bench = new Bench();
    const [ada, bob] = await bench.open();
    const most = LIMITS.framesBeforeRestMax;
    for (let number = 0; number < 2 * most + 10; number++) ada.link.send(DATA, text("a"));
    void ada.link.close(CLOSE.success, "done");
    const seen: number[] = [];
    for (let time = 0; time < 3; time++) bench.world.after(0, () => seen.push(bob.log.length));
    await bench.world.advance(0);
    deepEqual(seen, [most, most, most], "what was due anyway came before the frames that were left");
    equal(bob.log.length, 2 * most + 11);
    equal(bob.log.at(-1), "closed 200 by peer");
  });

  it("that rest can be paused and closed meanwhile, and nothing stays behind", async () => {
    const bench = new Bench();
    const [ada, bob] = await bench.open();
    const most = LIMITS.framesBeforeRestMax;
    bob.at.set("b", () => bob.link.pause());
    for (let number = 1; number <= 3 * most; number++) ada.link.send(DATA, text(number === most ? "b" : "a"));
    await bench.world.advance(1);
    equal(bob.log.length, most);
    bench.world.after(0, () => bob.link.resume());
    bench.world.after(0, () => void bob.link.close(CLOSE.success, "enough"));
    await bench.world.advance(LIMITS.closeTimeoutMs);
    deepEqual(bob.log.slice(2 * most), ["closed 200 by us"]);
    equal(bench.world.timers.size, 0);
  });

  it("of exactly the limit pass", async () => {
    const bench = new Bench();
    const [ada, bob] = await bench.open({ frameBytesMax: 64 }, { frameBytesMax: 64 });
    ada.link.send(DATA, new Uint8Array(64));
    await bench.world.advance();
    deepEqual(bob.log, [`${DATA}: 64 bytes`]);
  });

  it("that a handler cannot decode close the link; other throws are bugs", async () => {
    const bench = new Bench();
    const [ada, bob] = await bench.open();
    bob.at.set("bad", () => {
      throw new DecodeError("no such message");
    });
    for (const word of ["bad", "never seen"]) ada.link.send(DATA, text(word));
    await bench.world.advance();
    deepEqual(bob.log, ["bad", "closed 400 by us"]);
    deepEqual(await ada.link.closed, { code: CLOSE.protocolViolation, reason: "no such message", by: "peer" });
    deepEqual(bench.bugs, []);

    const second = new Bench();
    const [cyd, dan] = await second.open();
    const bug = new RangeError("our own");
    dan.at.set("bad", () => {
      throw bug;
    });
    cyd.link.send(DATA, text("bad"));
    await second.world.advance();
    deepEqual(dan.log, ["bad", "closed 102 by us"]);
    deepEqual(cyd.log, ["closed 103 by none"]);
    deepEqual(second.bugs, [bug]);
    second.assertQuiet();
  });
});

function withHello(changes: Partial<InitiateLinkOptions["hello"]>): Overrides {
  return { hello: { versionMin: 1, versionMax: 2, network: NETWORK, features: 0, ...changes } };
}

async function connect(bench: Bench): Promise<Recorder> {
  const linked = bench.initiate().then((link) => new Recorder(link));
  await bench.world.advance();
  return linked;
}

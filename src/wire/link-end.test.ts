import { deepEqual, equal, ok } from "node:assert/strict";
import { describe, it } from "node:test";
import { LIMITS } from "../env/index.ts";
import { encodeFrame, KIND } from "./frames.ts";
import { Bench, DATA, kindsWritten, Recorder, text } from "./link-bench.test.ts";
import { CLOSE } from "./types.ts";

const LONG_MS = 60_000;

describe("closing a link", () => {
  it("sends first what was sent before, then the reason, and ends both streams", async () => {
    const bench = new Bench();
    const [ada, bob] = await bench.open();
    const before = bench.ada.writes.length;
    ada.link.send(DATA, text("last"));
    const closing = ada.link.close(CLOSE.gracefulShutdown, "good night");
    equal(bench.ada.writes.length, before + 1, "one write, at once");
    deepEqual([ada.link.isOpen, ada.link.send(DATA, text("too late"))], [false, false]);

    await bench.world.advance();
    await closing;
    deepEqual(ada.log, ["closed 204 by us"]);
    deepEqual(bob.log, ["last", "closed 204 by peer"]);
    deepEqual(await ada.link.closed, { code: 204, reason: "good night", by: "us" });
    deepEqual(await bob.link.closed, { code: 204, reason: "good night", by: "peer" });
    bench.assertQuiet();
  });

  it("twice is closing once: the first reason counts", async () => {
    const bench = new Bench();
    const [ada, bob] = await bench.open();
    const both = Promise.all([ada.link.close(CLOSE.success, "one"), ada.link.close(CLOSE.cancelled, "two")]);
    ada.link.destroy();
    await bench.world.advance();
    await both;
    deepEqual(ada.log, ["closed 200 by us"]);
    equal(kindsWritten(bench.ada).filter((kind) => kind === KIND.close).length, 1);
    equal(bob.log.length, 1);
    await ada.link.close(CLOSE.overloaded, "three");
    bench.assertQuiet();
  });

  it("from both ends at once gives each side its own reason", async () => {
    const bench = new Bench();
    const [ada, bob] = await bench.open();
    const both = Promise.all([ada.link.close(CLOSE.success, "a"), bob.link.close(CLOSE.overloaded, "b")]);
    await bench.world.advance();
    await both;
    deepEqual([ada.log, bob.log], [["closed 200 by us"], ["closed 429 by us"]]);
    bench.assertQuiet();
  });

  it("does not wait for a peer that does not answer longer than the limit", async () => {
    const bench = new Bench();
    const [ada] = await bench.open();
    bench.ada.isCut = true;
    let isClosed = false;
    void ada.link.close(CLOSE.success, "").then(() => {
      isClosed = true;
    });
    await bench.world.advance(LIMITS.closeTimeoutMs - 1);
    deepEqual([isClosed, bench.ada.isDestroyed], [false, false]);
    deepEqual(ada.log, ["closed 200 by us"], "its owner need not wait");
    await bench.world.advance(1);
    deepEqual([isClosed, bench.ada.isDestroyed], [true, true]);
  });

  it("within a handler stops delivery at once", async () => {
    const bench = new Bench();
    const [ada, bob] = await bench.open();
    bob.at.set("b", () => void bob.link.close(CLOSE.success, "enough"));
    for (const word of ["a", "b", "c"]) ada.link.send(DATA, text(word));
    await bench.world.advance();
    deepEqual(bob.log, ["a", "b", "closed 200 by us"]);
  });

  it("while paused reads on, and so hears the peer's end", async () => {
    const bench = new Bench();
    const [ada, bob] = await bench.open();
    bob.link.pause();
    ada.link.send(DATA, text("never delivered"));
    await bench.world.advance();
    const closing = bob.link.close(CLOSE.success, "");
    await bench.world.advance();
    await closing;
    deepEqual(bob.log, ["closed 200 by us"]);
    bench.assertQuiet();
  });

  it("by a paused link's peer is told after the frames before it", async () => {
    const bench = new Bench();
    const [ada, bob] = await bench.open();
    bob.link.pause();
    ada.link.send(DATA, text("last"));
    void ada.link.close(CLOSE.success, "");
    await bench.world.advance();
    deepEqual(bob.log, []);
    bob.link.resume();
    await bench.world.advance();
    deepEqual(bob.log, ["last", "closed 200 by peer"]);
    bench.assertQuiet();
  });

  it("before start is told after start", async () => {
    const bench = new Bench();
    const accepted = bench.accept();
    const initiated = bench.initiate();
    await bench.world.advance();
    const link = await initiated;
    link.destroy();
    const bob = await accepted;
    await bench.world.advance();
    const logs = [new Recorder(link), new Recorder(bob)];
    deepEqual(
      logs.map(({ log }) => log),
      [[], []],
      "not within start",
    );
    await bench.world.advance();
    deepEqual(
      logs.map(({ log }) => log),
      [["closed 102 by us"], ["closed 103 by none"]],
    );
    bench.assertQuiet();
  });

  it("by destroy is without a word", async () => {
    const bench = new Bench();
    const [ada, bob] = await bench.open();
    ada.link.send(DATA, text("lost"));
    ada.link.destroy();
    ada.link.destroy();
    await bench.world.advance();
    deepEqual(ada.log, ["closed 102 by us"]);
    deepEqual(bob.log, ["closed 103 by none"]);
    bench.assertQuiet();
  });

  it("is not disturbed by a bug in onClose, which is reported", async () => {
    const bench = new Bench();
    const bug = new Error("oops");
    const onClose = (): void => {
      throw bug;
    };
    const accepted = bench.accept().then((link) => new Recorder(link, { onClose }));
    const initiated = bench.initiate().then((link) => new Recorder(link));
    await bench.world.advance();
    await accepted;
    void (await initiated).link.close(CLOSE.success, "");
    await bench.world.advance();
    deepEqual(bench.bugs, [bug]);
    bench.assertQuiet();
  });
});

describe("a link whose connection breaks", () => {
  it("without a close frame ends as unexpectedClose, after the frames that came", async () => {
    const bench = new Bench();
    const [ada, bob] = await bench.open();
    ada.link.send(DATA, text("whole"));
    await bench.world.advance();
    bench.ada.write(encodeFrame(DATA, text("half")).subarray(0, 8));
    bench.ada.end();
    await bench.world.advance();
    deepEqual(bob.log, ["whole", "closed 103 by none"]);
    deepEqual(ada.log, ["closed 103 by none"]);
    bench.assertQuiet();
  });

  it("tells why, and closes nothing twice", async () => {
    const bench = new Bench();
    const [ada, bob] = await bench.open();
    bench.bob.destroy();
    await bench.world.advance();
    deepEqual([ada.log, bob.log], [["closed 103 by none"], ["closed 103 by none"]]);
    equal((await ada.link.closed).reason, "connection reset");
    deepEqual([ada.link.isOpen, ada.link.send(DATA, text("x"))], [false, false]);
    await ada.link.close(CLOSE.success, "");
    equal(ada.log.length, 1);
    bench.assertQuiet();
  });

  it("while paused keeps the frames that it has, and tells the end after them", async () => {
    const bench = new Bench();
    const [ada, bob] = await bench.open();
    bob.at.set("a", () => bob.link.pause());
    for (const word of ["a", "b", "c"]) ada.link.send(DATA, text(word));
    await bench.world.advance();
    bench.ada.destroy();
    await bench.world.advance();
    deepEqual(bob.log, ["a"]);
    equal(bob.link.isOpen, false);
    bob.link.resume();
    await bench.world.advance();
    deepEqual(bob.log, ["a", "b", "c", "closed 103 by none"]);
    bench.assertQuiet();
  });

  it("while paused can still be closed, and then leaves nothing", async () => {
    const bench = new Bench();
    const [, bob] = await bench.open();
    bob.link.pause();
    bench.ada.destroy();
    await bench.world.advance();
    await bob.link.close(CLOSE.success, "");
    deepEqual(bob.log, ["closed 200 by us"]);
    bench.assertQuiet();
  });
});

describe("keep-alive", () => {
  it("keeps an idle link open with a probe now and then", async () => {
    const bench = new Bench();
    const [ada, bob] = await bench.open();
    await bench.world.advance(LONG_MS);
    deepEqual([ada.log, bob.log], [[], []]);
    const probes = kindsWritten(bench.ada).filter((kind) => kind === KIND.ping).length;
    ok(probes > 5 && probes <= LONG_MS / LIMITS.keepAliveIntervalMs, `${probes} probes`);
    equal(bench.world.timers.size, 2, "one timer a link");
  });

  it("sends nothing where there is traffic", async () => {
    const bench = new Bench();
    const [ada, bob] = await bench.open();
    for (let turn = 0; turn < 60; turn += 1) {
      ada.link.send(DATA, text("a"));
      bob.link.send(DATA, text("b"));
      await bench.world.advance(LIMITS.keepAliveIntervalMs / 2);
    }
    const own = [...kindsWritten(bench.ada), ...kindsWritten(bench.bob)].filter((kind) => kind < KIND.first);
    deepEqual(own, [KIND.hello, KIND.hello]);
  });

  it("gives up a peer that is silent, on both sides of a cut", async () => {
    const bench = new Bench();
    const [ada, bob] = await bench.open();
    bench.ada.isCut = true;
    bench.bob.isCut = true;
    await bench.world.advance(LIMITS.keepAliveTimeoutMs - 1);
    deepEqual([ada.log, bob.log], [[], []]);
    await bench.world.advance(LIMITS.keepAliveIntervalMs + 1);
    deepEqual([ada.log, bob.log], [["closed 440 by us"], ["closed 440 by us"]]);
    await bench.world.advance(LIMITS.closeTimeoutMs);
    bench.assertQuiet();
  });

  it("notices a half-open connection: what we say arrives, but nothing comes back", async () => {
    const bench = new Bench();
    const [ada, bob] = await bench.open();
    bench.bob.isCut = true;
    await bench.world.advance(LIMITS.keepAliveTimeoutMs + LIMITS.keepAliveIntervalMs);
    deepEqual(ada.log, ["closed 440 by us"]);
    deepEqual(bob.log, ["closed 440 by peer"], "it hears our reason");
  });

  it("bears with a peer that has paused for long, and with its own pause", async () => {
    const bench = new Bench();
    const [ada, bob] = await bench.open();
    bob.link.pause();
    ada.link.send(DATA, text("kept"));
    await bench.world.advance(LONG_MS);
    deepEqual([ada.log, bob.log], [[], []]);
    bob.link.resume();
    await bench.world.advance(LONG_MS);
    deepEqual([ada.log, bob.log], [[], ["kept"]]);
  });

  it("answers a flood of probes with one for each chunk", async () => {
    const bench = new Bench();
    const [, bob] = await bench.open();
    const ping = encodeFrame(KIND.ping, new Uint8Array(0));
    bench.ada.write(new Uint8Array(Buffer.concat(new Array(1000).fill(ping))));
    await bench.world.advance();
    deepEqual(kindsWritten(bench.bob), [KIND.hello, KIND.pong]);
    deepEqual(bob.log, []);
  });

  it("answers no probes of a peer that does not read", async () => {
    const bench = new Bench();
    const [ada, bob] = await bench.open();
    ada.link.pause();
    bob.link.send(DATA, new Uint8Array(LIMITS.linkHighWaterBytes));
    await bench.world.advance();
    bench.ada.write(encodeFrame(KIND.ping, new Uint8Array(0)));
    await bench.world.advance();
    deepEqual(kindsWritten(bench.bob), [KIND.hello, DATA]);
  });
});

describe("backpressure", () => {
  it("tells when the peer is slow, and when there is room again", async () => {
    const bench = new Bench();
    const [ada, bob] = await bench.open();
    bob.link.pause();
    await bench.world.advance();
    const chunk = new Uint8Array(LIMITS.linkHighWaterBytes / 4);
    const taken = [1, 2, 3, 4].map(() => ada.link.send(DATA, chunk));
    deepEqual(taken, [true, true, true, false]);
    ok(ada.link.queuedBytes > LIMITS.linkHighWaterBytes);
    await bench.world.advance(1000);
    deepEqual(ada.log, []);
    bob.link.resume();
    await bench.world.advance();
    deepEqual([ada.log, bob.log.length], [["drain"], 4]);
    equal(ada.link.queuedBytes, 0);
    equal(ada.link.send(DATA, text("x")), true);
  });

  it("says so too if the stream takes more at once than the link thought good", async () => {
    const bench = new Bench();
    const [ada] = await bench.open();
    bench.ada.highWaterBytes = Number.POSITIVE_INFINITY;
    equal(ada.link.send(DATA, new Uint8Array(LIMITS.linkHighWaterBytes)), false);
    await bench.world.advance();
    deepEqual(ada.log, ["drain"]);
  });

  it("closes a link whose peer does not read at all, as tooSlow", async () => {
    const bench = new Bench();
    const [ada, bob] = await bench.open();
    bob.link.pause();
    await bench.world.advance();
    const chunk = new Uint8Array(LIMITS.linkHighWaterBytes);
    const count = LIMITS.linkQueuedBytesMax / chunk.length;
    for (let sent = 0; sent < count - 1; sent += 1) ada.link.send(DATA, chunk);
    equal(ada.link.isOpen, true);
    equal(ada.link.send(DATA, chunk), false);
    equal(ada.link.isOpen, false);
    await bench.world.advance(LIMITS.closeTimeoutMs);
    deepEqual(ada.log, ["closed 413 by us"]);
    equal(bench.ada.isDestroyed, true);
  });
});

import { deepEqual, equal, ok } from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { LIMITS } from "../env/index.ts";
import { encodeFrame, KIND } from "./frames.ts";
import { HandshakeError } from "./handshake.ts";
import { encodeClose } from "./hello.ts";
import { Bench, DATA, HELLO, Recorder } from "./link-bench.test.ts";

/** Frames as a peer may send them, mostly right ones. */
const frame = fc.oneof(
  { weight: 4, arbitrary: fc.uint8Array({ maxLength: 40 }).map((payload) => encodeFrame(DATA, payload)) },
  { weight: 2, arbitrary: fc.constantFrom(KIND.ping, KIND.pong).map((kind) => encodeFrame(kind, new Uint8Array(0))) },
  fc.constant(encodeFrame(KIND.hello, HELLO)),
  fc
    .tuple(fc.nat(600), fc.string({ maxLength: 20 }))
    .map(([code, reason]) => encodeFrame(KIND.close, encodeClose({ code, reason }))),
  fc.tuple(fc.nat(255), fc.uint8Array({ maxLength: 8 })).map(([kind, payload]) => encodeFrame(kind, payload)),
);
const conversation = fc
  .tuple(fc.boolean(), fc.array(frame, { maxLength: 8 }), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 2 }))
  .map(([beginsWell, frames, changes]) => {
    const bytes = Buffer.concat([...(beginsWell ? [encodeFrame(KIND.hello, HELLO)] : []), ...frames]);
    for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
    return new Uint8Array(bytes);
  });
const attack = fc.record({
  bytes: fc.oneof({ weight: 4, arbitrary: conversation }, fc.uint8Array()),
  chunkBytesMax: fc.integer({ min: 1, max: 64 }),
  finale: fc.constantFrom("stays silent", "ends", "breaks"),
});

/** What an acceptor makes of these bytes: its log, or why there was no link. */
async function suffer(bench: Bench, bytes: Uint8Array, chunkBytesMax: number, finale: string): Promise<string[]> {
  bench.bob.chunkBytesMax = chunkBytesMax;
  const accepted = bench.accept().then(
    (link) => new Recorder(link),
    (error: unknown) => error,
  );
  bench.ada.start({ onData: () => {}, onEnd: () => bench.ada.end(), onDrain: () => {}, onClose: () => {} });
  bench.ada.write(bytes);
  if (finale === "ends") bench.ada.end();
  await bench.world.advance();
  if (finale === "breaks") bench.ada.destroy();
  // Longer than any deadline of the link.
  const patienceMs = LIMITS.handshakeTimeoutMs + LIMITS.keepAliveTimeoutMs + LIMITS.keepAliveIntervalMs;
  await bench.world.advance(patienceMs + LIMITS.closeTimeoutMs);

  const outcome = await accepted;
  if (outcome instanceof Recorder) return outcome.log;
  ok(outcome instanceof HandshakeError, String(outcome));
  return [`refused ${outcome.close.code} by ${outcome.close.by}`];
}

describe("a link and whatever comes", () => {
  it("ends once, by a close that is typed, and leaves nothing behind", async () => {
    await fc.assert(
      fc.asyncProperty(attack, async ({ bytes, chunkBytesMax, finale }) => {
        const bench = new Bench();
        const log = await suffer(bench, bytes, chunkBytesMax, finale);
        deepEqual(bench.bugs, []);
        equal(log.filter((line) => /^(closed|refused) \d+ by (us|peer|none)$/.test(line)).length, 1, log.join("; "));
        ok(/^(closed|refused)/.test(log.at(-1) ?? ""));
        bench.assertQuiet();
      }),
      { numRuns: 150 },
    );
  });

  it("makes the same of it, however it is cut", async () => {
    await fc.assert(
      fc.asyncProperty(attack, async ({ bytes, chunkBytesMax }) => {
        const cut = await suffer(new Bench(), bytes, chunkBytesMax, "ends");
        const whole = await suffer(new Bench(), bytes, bytes.length + 1, "ends");
        deepEqual(cut, whole);
      }),
      { numRuns: 100 },
    );
  });
});

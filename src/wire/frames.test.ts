import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { LIMITS } from "../env/index.ts";
import { DecodeError } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import {
  beginFrame,
  encodeFrame,
  FRAME_VERSION,
  type Frame,
  FrameBatch,
  FrameDecoder,
  finishFrame,
  KIND,
  viewEncoded,
} from "./frames.ts";
import { CLOSE } from "./types.ts";

const PAYLOAD_MAX = 300;

const frame: fc.Arbitrary<Frame> = fc
  .tuple(fc.nat(255), fc.uint8Array({ maxLength: PAYLOAD_MAX, size: "max" }))
  .map(([kind, payload]) => ({ kind, payload }));
const cuts = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 20 });

/** Cuts bytes into chunks of these sizes, again and again. */
function* chunksOf(bytes: Uint8Array, sizes: readonly number[]): Generator<Uint8Array> {
  let offset = 0;
  for (let turn = 0; offset < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] as number;
    yield bytes.slice(offset, offset + size);
    offset += size;
  }
}

function decodeAll(decoder: FrameDecoder, chunks: Iterable<Uint8Array>): Frame[] {
  const frames: Frame[] = [];
  const takeAll = (): void => {
    for (let next = decoder.next(); next !== undefined; next = decoder.next()) frames.push(next);
  };
  takeAll();
  for (const chunk of chunks) {
    decoder.push(chunk);
    takeAll();
  }
  return frames;
}

describe("FrameDecoder", () => {
  it("finds the frames that were encoded, however they are cut", () => {
    fc.assert(
      fc.property(fc.array(frame), cuts, (frames, sizes) => {
        const bytes = Buffer.concat(frames.map(({ kind, payload }) => encodeFrame(kind, payload)));
        const decoder = new FrameDecoder(PAYLOAD_MAX);
        deepEqual(decodeAll(decoder, chunksOf(new Uint8Array(bytes), sizes)), frames);
        equal(decoder.hasBytes, false);
      }),
    );
  });

  it("finds them as well when all chunks are there before the first is looked at", () => {
    fc.assert(
      fc.property(fc.array(frame), cuts, (frames, sizes) => {
        const bytes = Buffer.concat(frames.map(({ kind, payload }) => encodeFrame(kind, payload)));
        const decoder = new FrameDecoder(PAYLOAD_MAX);
        for (const chunk of chunksOf(new Uint8Array(bytes), sizes)) decoder.push(chunk);
        deepEqual(decodeAll(decoder, [new Uint8Array(0)]), frames);
      }),
    );
  });

  it("finds them in chunks that are lent, whenever they are looked at, and keeps nothing of those", () => {
    fc.assert(
      fc.property(fc.array(frame), cuts, fc.infiniteStream(fc.boolean()), (frames, sizes, areRead) => {
        const bytes = Buffer.concat(frames.map(({ kind, payload }) => encodeFrame(kind, payload)));
        const decoder = new FrameDecoder(PAYLOAD_MAX, true);
        const found: Frame[] = [];
        for (const chunk of chunksOf(new Uint8Array(bytes), sizes)) {
          decoder.push(chunk);
          if (areRead.next().value) found.push(...decodeAll(decoder, []));
          decoder.keep();
          chunk.fill(0xdb);
        }
        found.push(...decodeAll(decoder, []));
        deepEqual(
          found.map(({ kind, payload }) => ({ kind, payload: new Uint8Array(payload) })),
          frames,
        );
        equal(decoder.hasBytes, false);
      }),
    );
  });

  it("gives the same of any bytes, cut or whole: frames, then perhaps one typed error", () => {
    const outcome = (bytes: Uint8Array, sizes: readonly number[]): unknown[] => {
      const seen: unknown[] = [];
      const decoder = new FrameDecoder(PAYLOAD_MAX);
      try {
        for (const chunk of chunksOf(bytes, sizes)) seen.push(...decodeAll(decoder, [chunk]));
      } catch (error) {
        ok(error instanceof DecodeError, String(error));
        seen.push(error.closeCode);
      }
      return seen;
    };
    const mutated = fc.tuple(fc.array(frame), fc.array(fc.tuple(fc.nat(), fc.nat(255)))).map(([frames, changes]) => {
      const bytes = Buffer.concat(frames.map(({ kind, payload }) => encodeFrame(kind, payload)));
      for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
      return new Uint8Array(bytes);
    });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), mutated), cuts, (bytes, sizes) => {
        const pieces = outcome(bytes, sizes);
        const whole = outcome(bytes, [bytes.length + 1]);
        // A whole chunk is refused before its frames are handed out; in pieces those before the bad one were.
        if (typeof whole.at(-1) === "number") equal(pieces.at(-1), whole.at(-1));
        else deepEqual(pieces, whole);
      }),
    );
  });

  it("refuses a length above the limit before it has more than the header", () => {
    const header = (length: number, kind: number) => {
      const bytes = Buffer.alloc(6);
      bytes.writeUInt32BE(length);
      bytes.set([FRAME_VERSION, kind], 4);
      return new Uint8Array(bytes);
    };
    const decode = (bytes: Uint8Array) => decodeAll(new FrameDecoder(PAYLOAD_MAX), [bytes]);
    throws(() => decode(header(PAYLOAD_MAX + 3, KIND.first)), DecodeError);
    deepEqual(decode(header(PAYLOAD_MAX + 2, KIND.first)), []);
    throws(() => decode(header(0xffffffff, 255)), DecodeError);
    throws(() => decode(header(1, 16)), DecodeError);
    // The link's own frames have a limit of their own.
    throws(() => decode(header(LIMITS.helloBytesMax + 3, KIND.hello)), DecodeError);
    deepEqual(decode(header(LIMITS.helloBytesMax + 2, KIND.hello)), []);
  });

  it("refuses another version by its own code, whatever the length", () => {
    const decoder = new FrameDecoder(PAYLOAD_MAX);
    decoder.push(Uint8Array.of(255, 255, 255, 255, FRAME_VERSION + 1, KIND.first));
    throws(
      () => decoder.next(),
      (error: DecodeError) => error.closeCode === CLOSE.versionMismatch,
    );
  });

  it("allocates for what came, not for what was announced", () => {
    const size = 4 * 1024 * 1024;
    const decoders: FrameDecoder[] = [];
    const before = process.memoryUsage().arrayBuffers;
    for (let count = 0; count < 100; count += 1) {
      const decoder = new FrameDecoder(size);
      const whole = encodeFrame(KIND.first, new Uint8Array(1000));
      new DataView(whole.buffer).setUint32(0, size);
      decodeAll(decoder, chunksOf(whole, [10]));
      decoders.push(decoder);
    }
    ok(process.memoryUsage().arrayBuffers - before < 10 * 1024 * 1024);
    ok(decoders.every((decoder) => decoder.hasBytes));
  });

  it("does not copy a frame that lies in one chunk", () => {
    const chunk = encodeFrame(KIND.first, Uint8Array.of(1, 2, 3));
    const [only] = decodeAll(new FrameDecoder(PAYLOAD_MAX), [chunk]);
    equal(only?.payload.buffer, chunk.buffer);
  });
});

describe("FrameBatch", () => {
  it("takes out the bytes of its frames, small ones in one buffer, large ones as they are", () => {
    const sizes = fc.array(fc.oneof(fc.nat(50), fc.integer({ min: 16_384, max: 16_386 })), { maxLength: 8 });
    fc.assert(
      fc.property(sizes, (lengths) => {
        const batch = new FrameBatch();
        const payloads: Uint8Array[] = lengths.map((length, index) => new Uint8Array(length).fill(index + 1));
        for (const payload of payloads) batch.add(KIND.first, payload);
        const bytes = batch.bytes;
        const buffers = batch.take();
        deepEqual(Buffer.concat(buffers), Buffer.concat(payloads.map((payload) => encodeFrame(KIND.first, payload))));
        equal(
          buffers.reduce((sum, buffer) => sum + buffer.length, 0),
          bytes,
        );
        const large = payloads.filter(({ length }) => length > 16_384);
        deepEqual(
          buffers.filter((buffer) => payloads.includes(buffer)),
          large,
        );
        ok(buffers.length <= 2 * large.length + 1);
        deepEqual([batch.bytes, batch.take()], [0, []]);
      }),
      { numRuns: 50 },
    );
  });

  it("takes frames that are encoded already between others, and copies none that is large or alone", () => {
    const sizes = fc.array(fc.tuple(fc.oneof(fc.nat(50), fc.integer({ min: 16_370, max: 16_390 })), fc.boolean()));
    fc.assert(
      fc.property(sizes, (frames) => {
        const batch = new FrameBatch();
        const expected: Uint8Array[] = [];
        for (const [length, isEncoded] of frames) {
          const payload = new Uint8Array(length).fill(expected.length + 1);
          const encoded = finishFrame(beginFrame(new ByteWriter()).fixed(payload), KIND.first + 1);
          deepEqual(viewEncoded(encoded), { kind: KIND.first + 1, payload });
          if (isEncoded) batch.addEncoded(encoded);
          else batch.add(KIND.first + 1, payload);
          expected.push(encoded);
        }
        const bytes = batch.bytes;
        const buffers = batch.take();
        equal(Buffer.concat(expected).compare(Buffer.concat(buffers)), 0);
        equal(Buffer.concat(expected).length, bytes);
        const isAlone = frames.length === 1;
        const uncopied = expected.filter(({ length }, i) => frames[i]?.[1] && (length > 16_384 || isAlone));
        deepEqual(
          buffers.filter((buffer) => expected.includes(buffer)),
          uncopied,
        );
      }),
      { numRuns: 50 },
    );
  });
});

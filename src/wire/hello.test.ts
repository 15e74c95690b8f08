import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { AssertionError, LIMITS } from "../env/index.ts";
import { UniqueId } from "../identity/index.ts";
import { DecodeError } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import {
  decodeClose,
  decodeHello,
  encodeClose,
  encodeHello,
  HELLO_PAYLOAD_BYTES_MAX,
  negotiateVersion,
} from "./hello.ts";
import type { Hello } from "./types.ts";

const range = fc
  .tuple(fc.integer({ min: 1, max: 0xffff }), fc.integer({ min: 1, max: 0xffff }))
  .map(([a, b]) => ({ versionMin: Math.min(a, b), versionMax: Math.max(a, b) }));

const hello: fc.Arbitrary<Hello> = fc
  .record({
    range,
    network: fc.string().map((name) => UniqueId.from(name)),
    features: fc.nat(0xffffffff),
    proof: fc.uint8Array({ maxLength: LIMITS.helloProofBytesMax }),
    payload: fc.uint8Array({ maxLength: 2_000 }),
  })
  .map(({ range, ...rest }) => ({ ...range, ...rest }));

/** Random bytes, and good ones with some of them changed or cut off. */
function damaged(good: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 });
  const broken = fc.tuple(good, changes, fc.nat()).map(([bytes, changed, cut]) => {
    const copy = bytes.slice(0, cut % (bytes.length + 1));
    for (const [at, value] of changed) if (copy.length > 0) copy[at % copy.length] = value;
    return copy;
  });
  return fc.oneof(fc.uint8Array({ maxLength: 200 }), broken);
}

function valueOrDecodeError(decode: () => unknown): void {
  try {
    decode();
  } catch (error) {
    ok(error instanceof DecodeError, String(error));
  }
}

describe("Hello", () => {
  it("comes back as it was sent", () => {
    fc.assert(fc.property(hello, (sent) => deepEqual(decodeHello(encodeHello(sent)), sent)));
  });

  it("makes a value or a DecodeError of any bytes", () => {
    fc.assert(fc.property(damaged(hello.map(encodeHello)), (bytes) => valueOrDecodeError(() => decodeHello(bytes))));
  });

  it("of a later version may say more", () => {
    fc.assert(
      fc.property(hello, fc.uint8Array(), (sent, more) => {
        deepEqual(decodeHello(Buffer.concat([encodeHello(sent), more])), sent);
      }),
    );
  });

  it("fits its frame when all is as long as it may be, and no longer", () => {
    const proof = new Uint8Array(LIMITS.helloProofBytesMax);
    const largest = {
      versionMin: 0xffff,
      versionMax: 0xffff,
      network: UniqueId.from("n"),
      features: 0xffffffff,
      proof,
      payload: new Uint8Array(HELLO_PAYLOAD_BYTES_MAX),
    };
    ok(encodeHello(largest).length <= LIMITS.helloBytesMax);
    throws(() => encodeHello({ ...largest, payload: new Uint8Array(HELLO_PAYLOAD_BYTES_MAX + 1) }), AssertionError);
    throws(() => encodeHello({ ...largest, proof: new Uint8Array(proof.length + 1) }), AssertionError);
    throws(() => encodeHello({ ...largest, versionMin: 2, versionMax: 1 }), AssertionError);
  });

  it("with an empty or a zero range of versions is refused", () => {
    const bytes = encodeHello({
      versionMin: 1,
      versionMax: 1,
      network: UniqueId.from("n"),
      features: 0,
      proof: new Uint8Array(0),
      payload: new Uint8Array(0),
    });
    throws(() => decodeHello(Uint8Array.from([2, ...bytes.subarray(1)])), DecodeError);
    throws(() => decodeHello(Uint8Array.from([0, ...bytes.subarray(1)])), DecodeError);
  });
});

describe("negotiateVersion", () => {
  it("is the highest that both speak, on both ends alike", () => {
    fc.assert(
      fc.property(range, range, (ours, theirs) => {
        const version = negotiateVersion(ours, theirs);
        equal(version, negotiateVersion(theirs, ours));
        const isCommon = (candidate: number) =>
          [ours, theirs].every(({ versionMin, versionMax }) => candidate >= versionMin && candidate <= versionMax);
        const candidates = [ours.versionMax, theirs.versionMax].filter(isCommon);
        equal(version, candidates[0]);
      }),
    );
  });
});

describe("the close frame", () => {
  const notice = fc.record({ code: fc.nat(0xffffff), reason: fc.string({ unit: "binary", maxLength: 400 }) });

  it("carries code and reason; a long reason is cut between characters", () => {
    fc.assert(
      fc.property(notice, (sent) => {
        const got = decodeClose(encodeClose(sent));
        equal(got.code, sent.code);
        ok(sent.reason.startsWith(got.reason));
        const lost = sent.reason.length - got.reason.length;
        // Cut only if too long, and then by no more than one character too many.
        if (lost > 0) ok(Buffer.byteLength(got.reason) > LIMITS.closeReasonBytesMax - 4);
        ok(Buffer.byteLength(got.reason) <= LIMITS.closeReasonBytesMax);
      }),
    );
  });

  it("makes a value or a DecodeError of any bytes", () => {
    fc.assert(fc.property(damaged(notice.map(encodeClose)), (bytes) => valueOrDecodeError(() => decodeClose(bytes))));
  });

  it("with a longer reason, or more behind it, is refused", () => {
    const long = new ByteWriter()
      .varint(200)
      .text("x".repeat(LIMITS.closeReasonBytesMax + 1))
      .finish();
    throws(() => decodeClose(long), DecodeError);
    throws(() => decodeClose(Buffer.concat([encodeClose({ code: 200, reason: "" }), Uint8Array.of(0)])), DecodeError);
  });
});

import { Buffer } from "node:buffer";
import { assert, LIMITS } from "../env/index.ts";
import { ByteReader, DecodeError } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import type { Hello } from "./types.ts";

/** What fits beside the envelope of a hello. */
export const HELLO_PAYLOAD_BYTES_MAX = LIMITS.helloBytesMax - 1024;
const VERSION_MAX = 0xffff;
const CLOSE_CODE_MAX = 0xffffff;

/**
 * versionMin, versionMax: varint; network: 32 bytes; features: u32; proof, payload: length and bytes.
 * A later version may append fields: what follows is skipped.
 */
export function encodeHello(hello: Hello): Uint8Array {
  assert(isVersionRange(hello), "a version range");
  assert(hello.proof.length <= LIMITS.helloProofBytesMax, "a proof within its limit");
  assert(hello.payload.length <= HELLO_PAYLOAD_BYTES_MAX, "a hello's payload within its limit");
  return new ByteWriter(128 + hello.payload.length)
    .varint(hello.versionMin)
    .varint(hello.versionMax)
    .id(hello.network)
    .u32(hello.features)
    .bytes(hello.proof)
    .bytes(hello.payload)
    .finish();
}

/** @throws DecodeError */
export function decodeHello(bytes: Uint8Array): Hello {
  const reader = new ByteReader(bytes);
  const hello = {
    versionMin: reader.varint(VERSION_MAX),
    versionMax: reader.varint(VERSION_MAX),
    network: reader.id(),
    features: reader.u32(),
    proof: reader.bytesCopy(LIMITS.helloProofBytesMax),
    payload: reader.bytesCopy(HELLO_PAYLOAD_BYTES_MAX),
  };
  if (!isVersionRange(hello)) throw new DecodeError("a version range that is empty");
  return hello;
}

interface VersionRange {
  readonly versionMin: number;
  readonly versionMax: number;
}

function isVersionRange({ versionMin, versionMax }: VersionRange): boolean {
  return versionMin >= 1 && versionMin <= versionMax && versionMax <= VERSION_MAX;
}

/** The highest version that both speak, or undefined. Both ends come to the same. */
export function negotiateVersion(ours: VersionRange, theirs: VersionRange): number | undefined {
  const highest = Math.min(ours.versionMax, theirs.versionMax);
  return highest >= Math.max(ours.versionMin, theirs.versionMin) ? highest : undefined;
}

/** The payload of a close frame: the code, and text for people. */
export interface CloseNotice {
  readonly code: number;
  readonly reason: string;
}

/** A reason above `LIMITS.closeReasonBytesMax` is cut, between characters. */
export function encodeClose({ code, reason }: CloseNotice): Uint8Array {
  assert(code <= CLOSE_CODE_MAX, "a close code");
  return new ByteWriter(16 + LIMITS.closeReasonBytesMax).varint(code).text(cutText(reason)).finish();
}

/** @throws DecodeError */
export function decodeClose(bytes: Uint8Array): CloseNotice {
  const reader = new ByteReader(bytes);
  const notice = { code: reader.varint(CLOSE_CODE_MAX), reason: reader.text(LIMITS.closeReasonBytesMax) };
  reader.end();
  return notice;
}

function cutText(text: string): string {
  const bytesMax = LIMITS.closeReasonBytesMax;
  if (text.length * 3 <= bytesMax || Buffer.byteLength(text) <= bytesMax) return text;
  let cut = text.slice(0, bytesMax);
  // A cut inside a pair would leave half a character, which UTF-8 cannot say.
  while (Buffer.byteLength(cut) > bytesMax || isHighSurrogate(cut)) cut = cut.slice(0, -1);
  return cut;
}

function isHighSurrogate(text: string): boolean {
  const last = text.charCodeAt(text.length - 1);
  return last >= 0xd800 && last <= 0xdbff;
}

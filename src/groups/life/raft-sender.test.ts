import { deepEqual, ok } from "node:assert/strict";
import { test } from "node:test";
import { incarnation, peer, store } from "../../../test/groups/kit.ts";
import { LIMITS } from "../../env/index.ts";
import type { Entry, Envelope, MemberId } from "../../raft/index.ts";
import { type BondFrame, encodeFrame } from "../bonds/frames.ts";
import type { Bonds } from "../bonds/index.ts";
import { memberId } from "../entries/index.ts";
import { sendRaft } from "./raft-sender.ts";

const [ADA, BOB] = [memberId(peer("ada"), store("ada")), memberId(peer("bob"), store("bob"))];
const HOME = incarnation("home");

/** The frames that one step's messages to bob become. */
function framesOf(envelopes: readonly Envelope[]): BondFrame[] {
  const frames: BondFrame[] = [];
  const bond = {
    member: BOB,
    status: { incarnation: HOME },
    sendRaft: (_self: MemberId, _home: unknown, some: readonly Envelope[]) =>
      frames.push({ type: "raft", binding: new Uint8Array(32), messages: some.map(({ message }) => message) }),
  };
  sendRaft({ get: () => bond } as unknown as Bonds, { self: ADA, incarnation: HOME }, envelopes);
  return frames;
}

function append(first: number, count: number, bytes: number): Envelope {
  const entries: Entry[] = Array.from({ length: count }, (_, i) => {
    return { index: first + i, term: 3, kind: 2, data: new Uint8Array(bytes) };
  });
  const prev = { index: first - 1, term: 3 };
  return { from: ADA, to: BOB, message: { type: "append", term: 3, prev, entries, commit: 1, round: 1 } };
}

const sizeOf = (frame: BondFrame): number => encodeFrame(frame).payload.length;

test("a step that fills a follower's window is more than one frame, in order", () => {
  const steps = Array.from({ length: LIMITS.inflightBytesMax / LIMITS.appendBytesMax }, (_, i) =>
    append(1 + 16 * i, 16, 65_536),
  );
  const frames = framesOf(steps);
  ok(frames.length > 1 && frames.length < steps.length);
  for (const frame of frames) ok(sizeOf(frame) <= LIMITS.groupFrameBytesMax);
  deepEqual(
    frames.flatMap((frame) => (frame.type === "raft" ? frame.messages : [])),
    steps.map(({ message }) => message),
  );
});

test("the largest append fits, and so do many messages without entries", () => {
  const largest = { ...append(1, 1, LIMITS.entryDataBytesMax) };
  const full = append(1, LIMITS.appendEntriesMax - 1, Math.floor(LIMITS.appendBytesMax / LIMITS.appendEntriesMax));
  ok(full.message.type === "append" && largest.message.type === "append");
  const both = {
    ...full,
    message: { ...full.message, entries: [...full.message.entries, ...largest.message.entries] },
  };
  const small = Array.from({ length: 2 * LIMITS.raftMessagesMax }, (_, i) => append(i + 1, 0, 0));
  const frames = framesOf([...small, both]);
  deepEqual(frames.length, 3);
  for (const frame of frames) ok(sizeOf(frame) <= LIMITS.groupFrameBytesMax);
});

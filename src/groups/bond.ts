import { LIMITS } from "../env/index.ts";
import type { PeerId } from "../identity/index.ts";
import { hashBytes } from "../identity/index.ts";
import type { Envelope, MemberId } from "../raft/index.ts";
import type { IncarnationId } from "../storage/index.ts";
import { DecodeError, type Link, type LinkClose } from "../wire/index.ts";
import { type BondFrame, decodeFrame, encodeFrame } from "./frames.ts";
import { type MemberStatus, memberId } from "./status.ts";

export interface BondHandlers {
  onFrame(bond: Bond, frame: BondFrame): void;
  onDrain(bond: Bond): void;
  onClose(bond: Bond, close: LinkClose): void;
}

/** One link between two members that proved to each other that they may be in the group. */
export class Bond {
  readonly peer: PeerId;
  readonly link: Link;
  /** When it came to be, on our clock. */
  readonly sinceUs: number;
  #status: MemberStatus;
  #isOpen = true;
  #sessionKey: string | undefined;

  constructor(link: Link, status: MemberStatus, sinceUs: number) {
    this.peer = link.remoteId;
    this.link = link;
    this.sinceUs = sinceUs;
    this.#status = status;
  }

  /** What the peer last said of itself. */
  get status(): MemberStatus {
    return this.#status;
  }
  /** The peer, with the store that it has now. */
  get member(): MemberId {
    return memberId(this.peer, this.#status.storeId);
  }
  /** Much of what we sent has not left yet. */
  get isSlow(): boolean {
    return this.link.queuedBytes >= LIMITS.linkHighWaterBytes;
  }
  get isOpen(): boolean {
    return this.#isOpen;
  }

  start(handlers: BondHandlers): void {
    this.link.start({
      onFrame: (kind, payload) => {
        const frame = decodeFrame(kind, payload);
        if (frame === undefined || !this.#isOpen) return;
        if (frame.type === "status") this.#status = frame.status;
        handlers.onFrame(this, frame);
      },
      onDrain: () => handlers.onDrain(this),
      onClose: (close) => {
        this.#isOpen = false;
        handlers.onClose(this, close);
      },
    });
  }

  /** A member has one session as long as it lives, and sessions stay in the log. @throws DecodeError for another */
  checkSession(key: string): void {
    this.#sessionKey ??= key;
    if (key !== this.#sessionKey) throw new DecodeError("a second session over one bond");
  }

  /** False: the peer is slow. */
  send(frame: BondFrame): boolean {
    const { kind, payload } = encodeFrame(frame);
    return this.link.send(kind, payload);
  }

  /** Raft messages of one step: one frame. */
  sendRaft(self: MemberId, incarnation: IncarnationId, envelopes: readonly Envelope[]): void {
    const messages = envelopes.map(({ message }) => message);
    this.send({ type: "raft", binding: binding(self, this.member, incarnation), messages });
  }

  /** Does a Raft frame of this bond come from the store that we know, for the store that we have, in our incarnation? */
  isBound(frame: BondFrame & { type: "raft" }, self: MemberId, incarnation: IncarnationId): boolean {
    return Buffer.compare(frame.binding, binding(this.member, self, incarnation)) === 0;
  }

  close(code: number, reason: string): Promise<void> {
    this.#isOpen = false;
    return this.link.close(code, reason);
  }
}

const known = new Map<string, Uint8Array>();
const KNOWN_MAX = 256;

/** Eight bytes that stand for sender, receiver and incarnation. A pure function; the last few are remembered, since each frame needs one. */
function binding(from: MemberId, to: MemberId, incarnation: IncarnationId): Uint8Array {
  const text = `mosaik/raft-binding/1/${from}/${to}/${incarnation}`;
  const found = known.get(text);
  if (found !== undefined) return found;
  const made = hashBytes(text).subarray(0, 8);
  if (known.size >= KNOWN_MAX) known.clear();
  known.set(text, made);
  return made;
}

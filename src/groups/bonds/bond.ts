import { LIMITS } from "../../env/index.ts";
import type { PeerId } from "../../identity/index.ts";
import { hashBytes } from "../../identity/index.ts";
import type { Envelope, MemberId } from "../../raft/index.ts";
import type { IncarnationId } from "../../storage/index.ts";
import { CLOSE, type Link, type LinkClose } from "../../wire/index.ts";
import { memberId, type Support } from "../entries/index.ts";
import { type BondFrame, decodeFrame, encodeFrame } from "./frames.ts";
import type { MemberStatus } from "./status.ts";

export interface BondHandlers {
  /** The peer names another store than before: why that cannot be; undefined: it can. */
  doubt(bond: Bond, status: MemberStatus): string | undefined;
  onFrame(bond: Bond, frame: BondFrame): void;
  onDrain(bond: Bond): void;
  onClose(bond: Bond, close: LinkClose): void;
}

/** What each Raft frame between two stores in one incarnation begins with. */
interface Bindings {
  readonly self: MemberId;
  readonly member: MemberId;
  readonly incarnation: IncarnationId;
  readonly sent: Uint8Array;
  readonly received: Uint8Array;
}

/** One link between two members that proved to each other that they may be in the group. */
export class Bond {
  readonly peer: PeerId;
  readonly link: Link;
  /** When it came to be, on our clock. */
  readonly sinceUs: number;
  /** Of the session that the peer last opened over this bond. */
  sessionKey: string | undefined;
  #machine: Support | undefined;
  #status: MemberStatus;
  #member: MemberId;
  #bindings: Bindings | undefined;
  #isOpen = true;

  constructor(link: Link, status: MemberStatus, sinceUs: number) {
    this.peer = link.remoteId;
    this.link = link;
    this.sinceUs = sinceUs;
    this.#status = status;
    this.#member = memberId(this.peer, status.storeId);
  }

  /** What the peer last said of itself. */
  get status(): MemberStatus {
    return this.#status;
  }
  /** The peer, with the store that it has now. */
  get member(): MemberId {
    return this.#member;
  }
  /** What the peer can apply; undefined until it says so. */
  get machine(): Support | undefined {
    return this.#machine;
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
        if (frame.type === "status" && frame.status.storeId !== this.#status.storeId) {
          const doubt = handlers.doubt(this, frame.status);
          if (doubt !== undefined) return void this.close(CLOSE.groupStaleStore, doubt);
        }
        if (frame.type === "status") this.#onStatus(frame.status);
        if (frame.type === "machine") this.#machine = frame.support;
        handlers.onFrame(this, frame);
      },
      onDrain: () => handlers.onDrain(this),
      onClose: (close) => {
        this.#isOpen = false;
        handlers.onClose(this, close);
      },
    });
  }

  /** False: the peer is slow. */
  send(frame: BondFrame): boolean {
    const { kind, payload } = encodeFrame(frame);
    return this.link.send(kind, payload);
  }

  /** Raft messages of one step: one frame. */
  sendRaft(self: MemberId, incarnation: IncarnationId, envelopes: readonly Envelope[]): void {
    const messages = envelopes.map(({ message }) => message);
    this.send({ type: "raft", binding: this.#bindingsOf(self, incarnation).sent, messages });
  }

  /** Does a Raft frame of this bond come from the store that we know, for the store that we have, in our incarnation? */
  isBound(frame: BondFrame & { type: "raft" }, self: MemberId, incarnation: IncarnationId): boolean {
    return Buffer.compare(frame.binding, this.#bindingsOf(self, incarnation).received) === 0;
  }

  close(code: number, reason: string): Promise<void> {
    this.#isOpen = false;
    return this.link.close(code, reason);
  }

  #onStatus(status: MemberStatus): void {
    if (status.storeId !== this.#status.storeId) {
      this.#member = memberId(this.peer, status.storeId);
      // With another store it is another member: its former session ends when the next one opens.
      this.sessionKey = undefined;
    }
    this.#status = status;
  }

  #bindingsOf(self: MemberId, incarnation: IncarnationId): Bindings {
    const known = this.#bindings;
    if (known?.self === self && known.member === this.#member && known.incarnation === incarnation) return known;
    const member = this.#member;
    const sent = binding(self, member, incarnation);
    const received = binding(member, self, incarnation);
    this.#bindings = { self, member, incarnation, sent, received };
    return this.#bindings;
  }
}

/** Eight bytes that stand for sender, receiver and incarnation. */
function binding(from: MemberId, to: MemberId, incarnation: IncarnationId): Uint8Array {
  return hashBytes(`mosaik/raft-binding/1/${from}/${to}/${incarnation}`).subarray(0, 8);
}

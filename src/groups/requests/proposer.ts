import { LIMITS, type MosaikError, type Receipt } from "../../env/index.ts";
import type { PeerId } from "../../identity/index.ts";
import type { Index } from "../../raft/index.ts";
import { FRAME_COMMANDS_MAX } from "../bonds/index.ts";
import { bytesOf, type CommandBatch, type CommandSupport, type NumberedBatch } from "../entries/index.ts";
import type { AppliedBatch } from "../replica/index.ts";
import { encodeReceipt, type SessionIndex, type SessionTable } from "../sessions/index.ts";
import {
  closedUnsent,
  notSent,
  outcomeUnknown,
  overloaded,
  resultUnavailable,
  storageFull,
  unsupported,
} from "./proposer-errors.ts";

/** Where commands go now: the leader, here or over a bond. */
export interface Route {
  /** Much of what was sent has not left yet: more would only gather, and be sent again. */
  readonly isFull: boolean;
  /** Whoever leads cannot append, for want of room: the path of our store, or nothing if other disks are full. Undefined: it can. */
  readonly noRoomAt: string | undefined;
  openSession(key: string): void;
  closeSession(key: string): void;
  /** False: enough for now, `pump` again when there is room. */
  send(session: Index, batches: readonly NumberedBatch[]): boolean;
}

/** A call of `execute` or its kin. */
export interface Submission {
  readonly batch: CommandBatch;
  /** The caller's values, handed back when the call fails. */
  readonly values: readonly unknown[];
  readonly deadlineUs: number;
  /** May its commands be sent? Undefined if there is no need to ask. @param isLate - its deadline is here */
  readonly support?: ((isLate: boolean) => CommandSupport) | undefined;
  onApplied(batch: AppliedBatch): void;
  onFailed(error: MosaikError): void;
}

interface Operation {
  readonly call: Submission;
  readonly bytes: number;
  /** 0: not sent yet, so not numbered. */
  number: number;
  /** Its caller knows already; it is sent again all the same, since later numbers must not overtake it. */
  isAbandoned: boolean;
  /** Members that a leader named: they cannot apply it. Told once its session has ended without it. */
  unsupportedBy: readonly PeerId[] | undefined;
}

const FRAME_BYTES_MAX = 1024 * 1024;
const RESEND_AFTER_US = 1_000_000;
/** A leader without room hands over to who has some. If this takes longer, there is nobody. */
const NO_ROOM_AFTER_US = 2_000_000;

/**
 * This node's own commands on their way: numbered when first sent, sent in order, sent again to each new leader until they are applied here.
 *
 * The group may end our session when we were away for long. Reading that, we know which numbers were applied, and that no other one of that
 * session ever will be; those whose callers still wait are sent in another session, under new numbers.
 *
 * Invariants: numbers have no gaps; what was sent is `unknown` until our own replica has seen it, or the end of its session; what was not sent is
 * `not-applied`; a command is in one session at a time, and in the next one only after the end of the last was applied here. Bounded by
 * `LIMITS.windowEntriesMax` and `windowBytesMax`, waiting and sent together.
 */
export class Proposer {
  readonly #drawKey: () => string;
  readonly #nowUs: () => number;
  #key: string;
  #session: Index | undefined;
  #route: Route | undefined;
  #isOpening = false;
  #nextNumber = 1;
  /** The last number that went over the present route. */
  #sentUpTo = 0;
  /** Since when nothing of ours was applied, as far as the last sweep could see. */
  #progressUs = 0;
  #hasProgress = false;
  /** Since when whoever leads has no room. */
  #noRoomSinceUs: number | undefined;
  #bytes = 0;
  /** Why nothing is taken any more. */
  #end: MosaikError | undefined;
  /** A session is wanted, even if there is nothing to send. */
  #wantsSession = false;
  readonly #sent = new Map<number, Operation>();
  readonly #waiting = new Set<Operation>();
  /** What became of commands whose callers gave up waiting, by receipt. */
  readonly #outcomes = new Map<string, AppliedBatch>();

  /** @param drawKey - 32 random hex digits, for each session its own */
  constructor(drawKey: () => string, nowUs: () => number) {
    this.#drawKey = drawKey;
    this.#key = drawKey();
    this.#nowUs = nowUs;
  }

  get pending(): number {
    return this.#sent.size + this.#waiting.size;
  }
  /** Nothing more is taken, however small. */
  get isFull(): boolean {
    return this.pending >= LIMITS.windowEntriesMax;
  }
  /** It needs a leader. */
  get isBusy(): boolean {
    return this.pending > 0 || this.#wantsSession;
  }
  get session(): SessionIndex | undefined {
    return this.#session;
  }

  /** What became of a command of ours whose caller gave up; undefined if that is not known, or not any more. */
  outcomeOf(receipt: string): AppliedBatch | undefined {
    return this.#outcomes.get(receipt);
  }

  /** Opens a session even if there is nothing to send: the group then ends what is left of a former life of this peer. */
  wantSession(): void {
    if (this.#session !== undefined || this.#end !== undefined) return;
    this.#wantsSession = true;
    this.pump();
  }

  /** Takes a call, and gives a function that ends its caller's wait early. @throws `overloaded`; what `fail` or `close` said */
  submit(submission: Submission): (cause: unknown) => void {
    if (this.#end !== undefined) throw this.#end;
    const bytes = bytesOf(submission.batch);
    if (this.isFull || this.#bytes + bytes > LIMITS.windowBytesMax) throw overloaded(submission.values);
    const operation: Operation = { call: submission, bytes, number: 0, isAbandoned: false, unsupportedBy: undefined };
    this.#bytes += bytes;
    this.#waiting.add(operation);
    return (cause) => this.#giveUp(operation, "group-offline", cause);
  }

  /** Another leader, or none, or the same one over another bond: all that is not applied is sent again. */
  setRoute(route: Route | undefined): void {
    this.#route = route;
    this.#rewind(0);
    this.#isOpening = false;
    this.pump();
  }

  /** Sends what can be sent. */
  pump(): void {
    if (this.#route === undefined || (this.pending === 0 && !this.#wantsSession)) return;
    if (this.#route.noRoomAt !== undefined) return;
    if (this.#session === undefined) {
      if (!this.#isOpening) {
        this.#isOpening = true;
        this.#progressUs = this.#nowUs();
        this.#route.openSession(this.#key);
      }
      return;
    }
    while (!this.#route.isFull) {
      const batches = this.#nextFrame();
      if (batches.length === 0) return;
      if (!this.#route.send(this.#session, batches)) return;
    }
  }

  /** Our own replica applied the opening of a session. */
  onSession(key: string, session: Index): void {
    if (key !== this.#key || this.#session !== undefined) return;
    this.#session = session;
    this.#wantsSession = false;
    this.pump();
  }

  /** Our own replica applied the end of a session, whose last batch was `last`. */
  onSessionEnd(session: SessionIndex, last: number): void {
    if (session !== this.#session) return;
    this.#lose(last, 0);
    this.#renew();
  }

  /**
   * Our own replica got its state by a snapshot, and with it what was applied meanwhile, but no results.
   *
   * @param position - of the state
   */
  onRestored(table: SessionTable, position: number): void {
    if (this.#session === undefined) {
      const opened = table.indexOf(this.#key);
      if (opened !== undefined) this.onSession(this.#key, opened);
      return;
    }
    const session = this.#session;
    const record = table.open.get(session) ?? table.ended.get(session);
    if (record?.key !== this.#key) return this.forget();
    this.#lose(record.last, position, (number) => {
      const fate = table.fateOf(session, this.#key, number);
      return fate.type === "applied" ? fate.position : undefined;
    });
    if (!table.open.has(session)) this.#renew();
    else this.pump();
  }

  /** The history that our session was part of is gone, or has forgotten it: nobody can say any more what became of that which was sent. */
  forget(): void {
    for (const operation of [...this.#sent.values()]) {
      this.#giveUp(operation, "group-offline", undefined);
      this.#bytes -= operation.bytes;
    }
    this.#sent.clear();
    this.#renew();
  }

  /** Our own replica applied a batch of some session. */
  onBatch(batch: AppliedBatch): void {
    if (batch.session !== this.#session) return;
    const operation = this.#sent.get(batch.number);
    if (operation === undefined) return;
    this.#sent.delete(batch.number);
    this.#bytes -= operation.bytes;
    this.#hasProgress = true;
    if (!operation.isAbandoned) return operation.call.onApplied(batch);
    this.#outcomes.set(this.#receipt(operation), batch);
    if (this.#outcomes.size > LIMITS.outcomesMax) this.#outcomes.delete(this.#outcomes.keys().next().value as string);
  }

  /** The leader lacks a number before those that we sent. What it asks for goes with the next tick: a leader that is full would ask without end. */
  onRefused(session: Index, expected: number): void {
    if (session !== this.#session || expected === 0) return;
    this.#rewind(expected - 1);
  }

  /** The leader knows of members that cannot apply this one. It ends our session, and only then is it sure that nobody will. */
  onUnsupported(session: SessionIndex, number: number, members: readonly PeerId[]): void {
    const operation = session === this.#session ? this.#sent.get(number) : undefined;
    if (operation !== undefined) operation.unsupportedBy ??= members;
  }

  /** Called every tick: ends what is past its deadline, and sends again what a leader seems to have dropped. */
  sweep(): void {
    const now = this.#nowUs();
    // Nothing can be applied while it waits here to leave.
    const hasNoRoom = this.#route?.noRoomAt !== undefined;
    if (this.#hasProgress || hasNoRoom || this.#route?.isFull === true) this.#progressUs = now;
    this.#hasProgress = false;
    this.#noRoomSinceUs = hasNoRoom ? (this.#noRoomSinceUs ?? now) : undefined;
    const isHopeless = now - (this.#noRoomSinceUs ?? now) >= NO_ROOM_AFTER_US;
    for (const operation of [...this.#sent.values(), ...this.#waiting]) {
      if (operation.isAbandoned) continue;
      const isOver = now >= operation.call.deadlineUs || (isHopeless && operation.number === 0);
      if (isOver) this.#giveUp(operation, "group-offline", undefined);
    }
    if ((this.pending > 0 || this.#wantsSession) && now - this.#progressUs > RESEND_AFTER_US) {
      this.#progressUs = now;
      this.#isOpening = false;
      this.#rewind(0);
      this.pump();
    }
  }

  /**
   * The machine on this node is halted: nobody here will learn what becomes of any command.
   *
   * @param unsent - for what was not sent, and what comes later
   */
  fail(sent: MosaikError, unsent: MosaikError): void {
    this.#end ??= unsent;
    const ends = [...this.#sent.values()].map((operation) => ({ operation, error: sent }));
    for (const operation of this.#waiting) ends.push({ operation, error: unsent });
    this.#sent.clear();
    this.#waiting.clear();
    this.#bytes = 0;
    for (const { operation, error } of ends) {
      if (operation.isAbandoned) continue;
      operation.isAbandoned = true;
      operation.call.onFailed(error);
    }
  }

  /** Ends all: what was sent is unknown, the rest was not applied. The session goes with us, so that what is unknown can be known soon. */
  close(cause: unknown): void {
    this.#end ??= closedUnsent(cause);
    if (this.#session !== undefined) this.#route?.closeSession(this.#key);
    for (const operation of [...this.#sent.values(), ...this.#waiting]) this.#giveUp(operation, "closed", cause);
    this.#waiting.clear();
    this.#sent.clear();
  }

  /** Results that we shall never see, of batches up to `last`. */
  #lose(last: number, position: number, positionOf: (number: number) => number | undefined = () => undefined): void {
    for (const operation of [...this.#sent.values()]) {
      if (operation.number > last) break;
      this.#sent.delete(operation.number);
      this.#bytes -= operation.bytes;
      if (operation.isAbandoned) continue;
      operation.isAbandoned = true;
      operation.call.onFailed(resultUnavailable(positionOf(operation.number) ?? position));
    }
  }

  /** What is left of the session that ended was not applied. Who has a receipt for it will be told so; the others are sent again. */
  #renew(): void {
    const later = [...this.#waiting];
    this.#waiting.clear();
    for (const operation of this.#sent.values()) {
      operation.number = 0;
      this.#bytes -= operation.bytes;
      if (operation.isAbandoned) continue;
      if (operation.unsupportedBy !== undefined) {
        operation.isAbandoned = true;
        operation.call.onFailed(unsupported(operation.call.values, operation.unsupportedBy));
      } else {
        this.#bytes += operation.bytes;
        this.#waiting.add(operation);
      }
    }
    for (const operation of later) this.#waiting.add(operation);
    this.#sent.clear();
    this.#key = this.#drawKey();
    this.#session = undefined;
    this.#isOpening = false;
    this.#nextNumber = 1;
    this.#sentUpTo = 0;
    this.pump();
  }

  #rewind(to: number): void {
    this.#sentUpTo = Math.min(this.#sentUpTo, to);
  }

  #nextFrame(): NumberedBatch[] {
    const batches: NumberedBatch[] = [];
    let bytes = 0;
    let commands = 0;
    for (const operation of this.#unsent()) {
      commands += operation.call.batch.count;
      const isFull = bytes + operation.bytes > FRAME_BYTES_MAX || commands > FRAME_COMMANDS_MAX;
      if (batches.length > 0 && isFull) break;
      if (operation.number === 0) {
        const support = operation.call.support?.(false) ?? "agreed";
        if (support === "waiting") break;
        if (support !== "agreed") {
          this.#refuse(operation, support);
          continue;
        }
        this.#assignNumber(operation);
      }
      const { count, bytes: source, start, end } = operation.call.batch;
      batches.push({ number: operation.number, count, bytes: source, start, end });
      bytes += operation.bytes + 8;
      this.#sentUpTo = operation.number;
      if (batches.length >= LIMITS.appendEntriesMax) break;
    }
    return batches;
  }

  *#unsent(): Generator<Operation> {
    const first = this.#sent.keys().next().value;
    if (first !== undefined) {
      for (let number = Math.max(first, this.#sentUpTo + 1); number < this.#nextNumber; number++) {
        const operation = this.#sent.get(number);
        if (operation !== undefined) yield operation;
      }
    }
    for (const operation of this.#waiting) yield operation;
  }

  #assignNumber(operation: Operation): void {
    if (this.#sent.size === 0) this.#progressUs = this.#nowUs();
    operation.number = this.#nextNumber++;
    this.#waiting.delete(operation);
    this.#sent.set(operation.number, operation);
  }

  /** Not sent, and it would not be taken. */
  #refuse(operation: Operation, members: readonly PeerId[]): void {
    this.#waiting.delete(operation);
    this.#bytes -= operation.bytes;
    operation.isAbandoned = true;
    operation.call.onFailed(unsupported(operation.call.values, members));
  }

  #giveUp(operation: Operation, code: "group-offline" | "closed", cause: unknown): void {
    if (operation.isAbandoned) return;
    const support = code === "group-offline" && cause === undefined ? operation.call.support?.(true) : undefined;
    if (operation.number === 0 && Array.isArray(support)) return this.#refuse(operation, support);
    operation.isAbandoned = true;
    if (this.#waiting.delete(operation)) {
      this.#bytes -= operation.bytes;
      const { values } = operation.call;
      const path = code === "group-offline" && cause === undefined ? this.#route?.noRoomAt : undefined;
      operation.call.onFailed(path === undefined ? notSent(code, values, cause) : storageFull(values, path));
    } else if (this.#sent.has(operation.number)) {
      operation.call.onFailed(outcomeUnknown(this.#receipt(operation), operation.call.values, cause));
    }
  }

  #receipt({ number, call }: Operation): Receipt {
    return encodeReceipt({ key: this.#key, session: this.#session ?? 0, number, count: call.batch.count });
  }
}

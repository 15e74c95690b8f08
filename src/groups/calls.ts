import {
  badOption,
  type Env,
  LIMITS,
  type MosaikError,
  mosaikError,
  type Options,
  type Receipt,
  whenAborted,
} from "../env/index.ts";
import type { PeerId } from "../identity/index.ts";
import { type CommandBatch, type CommandSupport, encodeBatch } from "./entries/index.ts";
import type { MachineRuntime, Positioned } from "./machine/index.ts";
import type { Member } from "./member.ts";
import type { AppliedBatch } from "./replica/index.ts";
import {
  Call,
  noResult,
  outcomeUnknown,
  overloaded,
  resultOf,
  resultsOf,
  resultUnavailable,
} from "./requests/index.ts";
import { type BatchFate, decodeReceipt, type ReceiptParts } from "./sessions/index.ts";
import type { Consistency, Deadline } from "./types.ts";

/** The edge where promises begin: turns calls of a group's user into submissions and reads, and their outcomes into values and errors. */
export class Calls {
  readonly #env: Env;
  readonly #member: Member;
  readonly #runtime: MachineRuntime;
  readonly #timeoutMs: number;
  readonly #selfId: PeerId;
  readonly #assertOpen: () => void;

  /** @param options - `assertOpen`: throws if the handle that the calls come by is closed */
  constructor(options: {
    env: Env;
    member: Member;
    runtime: MachineRuntime;
    timeoutMs: number;
    selfId: PeerId;
    assertOpen: () => void;
  }) {
    this.#env = options.env;
    this.#selfId = options.selfId;
    this.#member = options.member;
    this.#runtime = options.runtime;
    this.#timeoutMs = options.timeoutMs;
    this.#assertOpen = options.assertOpen;
  }

  execute(command: unknown, options: Deadline): Promise<Positioned<unknown>> {
    return this.#submit([command], options, resultOf);
  }

  async executeMany(commands: readonly unknown[], options: Deadline): Promise<Positioned<unknown[]>> {
    if (commands.length > 0) return this.#submit(commands, options, resultsOf);
    this.#assertAlive();
    return { position: this.#member.position, result: [] };
  }

  async feed(commands: readonly unknown[], options: Deadline): Promise<Positioned<undefined>> {
    if (commands.length > 0) return this.#submit(commands, options, noResult);
    this.#assertAlive();
    return { position: this.#member.position, result: undefined };
  }

  async query(query: unknown, options: Deadline & Options<{ consistency: Consistency }>): Promise<Positioned<unknown>> {
    const { consistency = "strong" } = options;
    options.signal?.throwIfAborted();
    this.#assertAlive();
    if (consistency === "strong") await this.#confirmed(options);
    else if (consistency !== "weak") await this.#reached(consistency.atLeast, options);
    this.#assertAlive();
    const replica = this.#member.life?.replica;
    if (replica === undefined) throw this.#offline("this member has no state yet");
    return { position: replica.position, result: replica.query(query) };
  }

  /** Waits until it is final: undefined says that it never was and never will be applied. */
  async outcomeOf(receipt: Receipt, options: Deadline): Promise<Positioned<unknown> | undefined> {
    const parts = decodeReceipt(receipt);
    options.signal?.throwIfAborted();
    this.#assertAlive();
    const fate = await this.#until(
      () => this.#fateOf(receipt, parts),
      options,
      () => outcomeUnknown(receipt, []),
    );
    if ("outcomes" in fate) {
      const results = resultsOf(fate);
      return { position: fate.position, result: parts.count === 1 ? results[0] : results };
    }
    if (fate.type === "never") return undefined;
    if (fate.type === "forgotten") throw outcomeUnknown(receipt, []);
    if (fate.position === undefined) throw resultUnavailable(this.#member.position);
    if (fate.isRejected) throw rejectedThen(fate.position, parts.count);
    return { position: fate.position, result: undefined };
  }

  /** Undefined as long as it may still come either way. */
  #fateOf(receipt: Receipt, { key, session, number }: ReceiptParts): AppliedBatch | Final | undefined {
    const { proposer, life } = this.#member;
    const own = proposer.outcomeOf(receipt);
    if (own !== undefined || life === undefined || life.replica.index < session) return own;
    const fate = life.replica.sessions.fateOf(session, key, number);
    if (fate.type !== "pending") return fate;
    // Of a former life of this peer: it ends when we open a session of our own.
    const isOurs = life.replica.sessions.ownerOf(session) === this.#selfId;
    if (isOurs && proposer.session !== session) proposer.wantSession();
    return undefined;
  }

  /** Of each command one promise, and no more: small commands come by the hundred thousand. */
  #submit<R>(
    values: readonly unknown[],
    options: Deadline,
    toResult: (batch: AppliedBatch) => R,
  ): Promise<Positioned<R>> {
    return new Promise((resolve, reject) => {
      const { signal } = options;
      signal?.throwIfAborted();
      this.#assertAlive();
      // Before it is encoded, since an overload must not be made worse by what is refused.
      if (this.#member.proposer.isFull) throw overloaded(values);
      const call = new Call(resolve, reject, toResult, {
        batch: this.#encode(values),
        values,
        deadlineUs: this.#deadlineUs(options),
        support: this.#supportOf(values),
      });
      const giveUp = this.#member.proposer.submit(call);
      if (signal !== undefined) call.listen(signal, giveUp);
      this.#member.onDemand();
    });
  }

  /** Undefined, as nearly always, if all that this machine has may be sent. */
  #supportOf(values: readonly unknown[]): ((isLate: boolean) => CommandSupport) | undefined {
    const { compatibility } = this.#member;
    if (compatibility.isComplete || compatibility.own.commands.length === 0) return undefined;
    const names = [...new Set(values.map((value) => this.#runtime.commandName(value)))];
    return (isLate) => compatibility.supportOf(names, isLate);
  }

  #encode(values: readonly unknown[]): CommandBatch {
    if (values.length > LIMITS.batchCommandsMax) {
      throw tooLarge(`a batch has at most ${LIMITS.batchCommandsMax} commands`, values);
    }
    const batch = encodeBatch(values, this.#runtime.writeCommand);
    if (batch === undefined) throw tooLarge(`a batch has at most ${LIMITS.batchBytesMax} bytes`, values);
    return batch;
  }

  #confirmed({ signal, timeoutMs }: Deadline): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter = {
        deadlineUs: this.#deadlineUs({ timeoutMs }),
        onReady: () => {
          endListening();
          resolve();
        },
        onFailed: (error: MosaikError) => {
          endListening();
          reject(error);
        },
      };
      this.#member.reads.add(waiter);
      const endListening = whenAborted(signal, (reason) => {
        if (this.#member.reads.remove(waiter)) reject(reason);
      });
      this.#member.onDemand();
    });
  }

  async #reached(position: number, options: Deadline): Promise<void> {
    if (!Number.isSafeInteger(position) || position < 0) throw badOption("consistency", "needs a position from 0 on");
    if (this.#member.position >= position) return;
    const isThere = (): true | undefined => (this.#member.position >= position ? true : undefined);
    await this.#until(isThere, options, () =>
      this.#offline(`position ${position} was not reached before the deadline`),
    );
  }

  async #until<T>(probe: () => T | undefined, { signal, timeoutMs }: Deadline, late: () => MosaikError): Promise<T> {
    const deadline = new AbortController();
    const either = signal === undefined ? deadline.signal : AbortSignal.any([signal, deadline.signal]);
    const timer = this.#env.after(this.#timeoutOf(timeoutMs), () => deadline.abort(late()));
    try {
      return await this.#member.conditions.until(probe, either);
    } finally {
      timer.cancel();
    }
  }

  #deadlineUs({ timeoutMs }: Deadline): number {
    return this.#env.clock.monotonicUs() + this.#timeoutOf(timeoutMs) * 1_000;
  }

  #timeoutOf(timeoutMs: number | undefined): number {
    return timeoutMs === undefined ? this.#timeoutMs : checkTimeout(timeoutMs);
  }

  #assertAlive(): void {
    this.#assertOpen();
    if (this.#member.failure !== undefined) throw this.#member.failure;
    if (this.#member.state === "closed") throw mosaikError("closed", "the group is closed", { outcome: "not-applied" });
  }

  #offline(message: string): MosaikError {
    return mosaikError("group-offline", message, {
      outcome: "not-applied",
      details: { state: this.#member.state },
      hidden: { rejected: [] },
    });
  }
}

type Final = Exclude<BatchFate, { readonly type: "pending" }>;

/** The reason is known to those alone who applied it for its caller. */
function rejectedThen(position: number, count: number): MosaikError {
  return mosaikError("command-rejected", `the machine rejected the command at position ${position}`, {
    outcome: count === 1 ? "not-applied" : "applied",
    details: { reason: "unknown" },
    hidden: { data: undefined },
  });
}

/** @throws `bad-option` */
export function checkTimeout(timeoutMs: unknown): number {
  if (typeof timeoutMs !== "number" || !(timeoutMs > 0) || timeoutMs > 2 ** 31) {
    throw badOption("timeoutMs", "must be a positive number of milliseconds below 2^31");
  }
  return timeoutMs;
}

function tooLarge(message: string, values: readonly unknown[]): MosaikError {
  return mosaikError("too-large", message, {
    outcome: "not-applied",
    details: { bytesMax: LIMITS.batchBytesMax },
    hidden: { rejected: values },
  });
}

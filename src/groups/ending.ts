import { type Logger, type MosaikError, mosaikError, type Scope } from "../env/index.ts";
import type { Storage } from "../storage/index.ts";
import type { Bonds } from "./bonds/index.ts";
import type { Departure } from "./departure.ts";
import { stopCause, storageFailed } from "./member-errors.ts";

const HANDOVER_TIMEOUT_MS = 1_000;
/** How long a closing member waits to be let go. */
const CLOSE_LEAVE_TIMEOUT_MS = 1_500;

export interface EndingOptions {
  /** Of the group. */
  readonly name: string;
  readonly logger: Logger;
  /** What is stored outlives the process. */
  readonly isDurable: boolean;
  readonly scope: Scope;
  readonly bonds: Bonds;
  readonly departure: Departure;
  readonly storage: () => Storage | undefined;
  /** Nobody calls any more: ends what waits, and the life of the store. @param cause - undefined: it was meant to end */
  readonly onEnd: (cause: MosaikError | undefined) => void;
}

/** How a member ends, once: it is closed, leaves, or stops of a failure. What is under way comes first, then its bonds and its store. */
export class Ending {
  readonly #o: EndingOptions;
  #failure: MosaikError | undefined;
  #closing: Promise<void> | undefined;
  #resolveClosed: (cause: MosaikError | undefined) => void = () => {};
  /** Resolves at the end of all, with the failure, if it was one. */
  readonly closed = new Promise<MosaikError | undefined>((resolve) => {
    this.#resolveClosed = resolve;
  });

  constructor(options: EndingOptions) {
    this.#o = options;
  }

  /** It has begun. */
  get isUnderWay(): boolean {
    return this.#closing !== undefined;
  }

  get failure(): MosaikError | undefined {
    return this.#failure;
  }

  /** Hands leadership over. Resolves when we no longer lead, at the latest after a second. */
  handOver(): Promise<void> {
    return this.#o.departure.handOver(HANDOVER_TIMEOUT_MS);
  }

  /** Gives up membership and this node's copy, then closes. @throws `last-voter`, `group-offline`: it stays */
  async leave(timeoutMs: number, signal?: AbortSignal): Promise<void> {
    await this.#o.departure.leave(timeoutMs, signal);
    this.#closing ??= this.#shutDown(undefined, async () => this.#o.storage()?.setAside("the member left"));
    await this.#closing;
  }

  /** Orderly: leadership, then the node's own waits, bonds and storage. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  onStorageFailure(cause: unknown): void {
    this.stop(storageFailed(this.#o.name, cause));
  }

  /** At once, with a cause for every waiter. */
  stop(cause: unknown): void {
    if (this.#closing !== undefined) return;
    const error = stopCause(cause);
    this.#failure = error;
    this.#o.logger.error({ group: this.#o.name, cause }, "the group's member stopped");
    this.#closing = this.#shutDown(error);
  }

  async #close(): Promise<void> {
    // What is kept on disk is expected back; what was in memory never votes again.
    if (this.#o.isDurable) await this.handOver();
    else await this.#o.departure.leaveQuietly(CLOSE_LEAVE_TIMEOUT_MS);
    await this.#shutDown(undefined);
  }

  async #shutDown(cause: MosaikError | undefined, beforeClose?: () => Promise<void>): Promise<void> {
    const { name, logger, scope, bonds, storage } = this.#o;
    this.#o.onEnd(cause);
    // First what is under way here, so that no store is bound and no bond made behind our back.
    await scope.close(cause ?? mosaikError("closed", "the group was closed"));
    await bonds.close();
    await beforeClose?.().catch((refusal) => logger.warn({ group: name, cause: refusal }, "its store stays here"));
    await storage()
      ?.close()
      .catch(() => undefined);
    this.#resolveClosed(cause);
  }
}

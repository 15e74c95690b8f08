import { type Logger, MosaikError, type Scope } from "../../env/index.ts";
import { ROOM_RETRY_MS } from "./store-writer.ts";

/** Whether this member's disk has room for what is to be written: waits for it where nobody else does, and says when it comes and goes. */
export class DiskRoom {
  readonly #group: string;
  readonly #scope: Scope;
  readonly #logger: Logger;
  readonly #onChange: () => void;
  /** Whose writes wait, and why. */
  readonly #waiting = new Map<object, MosaikError>();

  constructor(options: { group: string; scope: Scope; logger: Logger; onChange: () => void }) {
    this.#group = options.group;
    this.#scope = options.scope;
    this.#logger = options.logger;
    this.#onChange = options.onChange;
  }

  /** Something waits for room. */
  get isFull(): boolean {
    return this.#waiting.size > 0;
  }

  /** @param refusal - undefined: nothing of this writer waits any more */
  note(writer: object, refusal: MosaikError | undefined): void {
    const wasFull = this.isFull;
    if (refusal === undefined) this.#waiting.delete(writer);
    else this.#waiting.set(writer, refusal);
    if (this.isFull === wasFull || this.#scope.isClosed) return;
    const fields = { group: this.#group, cause: refusal };
    if (this.isFull) this.#logger.warn(fields, "the disk has no room; what is to be written waits for it");
    else this.#logger.info({ group: this.#group }, "the disk has room again");
    this.#onChange();
  }

  /** It is at its end, and waits no more. */
  forget(writer: object): void {
    this.#waiting.delete(writer);
  }

  /** Does it, and again each second as long as there is no room for it. @throws what else it throws; the reason of the scope's end */
  async until<T>(work: () => Promise<T>): Promise<T> {
    const writer = {};
    try {
      for (;;) {
        try {
          return await work();
        } catch (cause) {
          if (!MosaikError.is(cause, "storage-full")) throw cause;
          this.note(writer, cause);
        }
        await this.#scope.sleep(ROOM_RETRY_MS);
      }
    } finally {
      this.note(writer, undefined);
    }
  }
}

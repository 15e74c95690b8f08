import { createHash } from "node:crypto";

/**
 * The history of a run as lines: deliveries, timers, disk steps, applied entries, faults. Its hash is what two runs of one seed must
 * share. Lines are kept only if asked for.
 */
export class Trace {
  readonly #hash = createHash("sha256");
  readonly #lines: string[] | undefined;
  readonly #nowUs: () => number;
  readonly #onText: ((text: string) => void) | undefined;
  #pending = "";

  /** @param options.onText - told of all that is hashed, in order */
  constructor(
    nowUs: () => number,
    options: { readonly keepLines?: boolean; readonly onText?: ((text: string) => void) | undefined } = {},
  ) {
    this.#nowUs = nowUs;
    this.#onText = options.onText;
    this.#lines = options.keepLines === true ? [] : undefined;
  }

  /** @param what - without a line break */
  add(who: string, what: string): void {
    const line = `${this.#nowUs()} ${who} ${what}\n`;
    this.#lines?.push(line);
    this.#pending += line;
    if (this.#pending.length > 0x1_0000) this.#flush();
  }

  /** What was added so far. */
  get lines(): readonly string[] {
    return this.#lines ?? [];
  }

  /** SHA-256 of all lines, in hex. */
  digest(): string {
    this.#flush();
    return this.#hash.copy().digest("hex");
  }

  #flush(): void {
    this.#hash.update(this.#pending);
    this.#onText?.(this.#pending);
    this.#pending = "";
  }
}

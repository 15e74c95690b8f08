import type { MosaikError } from "./errors.ts";

// Shapes that the public surface has everywhere, and that belong to no layer.

/** Every field may be missing or `undefined`, so that `process.env.NAME` can be passed as it is. */
export type Options<Fields> = { readonly [Name in keyof Fields]?: Fields[Name] | undefined };
export type Wait = Options<{ signal: AbortSignal }>;
export type OneOrMore<T> = T | readonly T[];
export type Conditions<Names extends string, Result = void> = {
  readonly [Name in Names]: (options?: Wait) => Promise<Result>;
};
/** `close` is orderly and idempotent. `closed` never rejects: it gives the cause, or `undefined` after a `close`. */
export interface Handle extends AsyncDisposable {
  readonly closed: Promise<MosaikError | undefined>;
  close(options?: Wait): Promise<void>;
}

import type { StandardSchemaV1 } from "@standard-schema/spec";

/** The state of this node's part in a group. */
export type GroupState = "joining" | "online" | "offline" | "no-quorum" | "closed";

/** Names one command that was sent: ask `outcomeOf` with it. Text, so that it can be stored. */
export type Receipt = string & { readonly "~receipt": true };

/** The caller's own values, in order. Not enumerable: logging an error prints no payload. */
export type Rejected<More = object> = Readonly<{ rejected: readonly unknown[] } & More>;

/**
 * Why a group is not begun anew here. What is in sight, unless forced: a `leader` of it; a `majority` of its voters, which may elect one; a member
 * with a `newer-log`, or one that has `recovered` the group already, from here; or nobody, since no bootstrap source and not each member gave an
 * answer in time (`no-answer`). For good: this member is an `observer`, holds no store of a group that is open (`no-log`), or has a machine without
 * `snapshot` (`no-snapshot`). For now: another attempt is `under-way`; the log or the store `changed` meanwhile. Or it is `leaving`.
 */
export type RecoverRefusal =
  | "leader"
  | "majority"
  | "newer-log"
  | "recovered"
  | "no-answer"
  | "observer"
  | "no-log"
  | "no-snapshot"
  | "under-way"
  | "changed"
  | "leaving";

/**
 * Why a state is not exported: there is none yet (`no-state`), the machine gives none (`no-snapshot`), or the log `changed` faster than it could
 * be read. Why it is not imported: the `group-exists`; the source threw (`source-failed`); the bytes are `damaged` or not all there; they are of an
 * `other-machine`, or of a `newer-version` of it or of this library.
 */
export type SnapshotRefusal =
  | "no-state"
  | "no-snapshot"
  | "changed"
  | "group-exists"
  | "source-failed"
  | "damaged"
  | "other-machine"
  | "newer-version";

/** Every code that a caller may meet, with its details. The registry: `docs/design/errors.md` lists the same codes, and a test compares. */
export interface ErrorDetails {
  closed: object;
  "not-ready": object;
  "bad-option": { readonly option: string };
  "definition-conflict": { readonly name: string };
  overloaded: Rejected;
  "insecure-listen": { readonly address: string };
  "address-in-use": { readonly address: string };
  "data-dir-locked": { readonly path: string };
  "storage-failed": { readonly path: string };
  "storage-full": Rejected<{ readonly path: string }>;
  "schema-rejected": Rejected<{ issues: readonly StandardSchemaV1.Issue[] }>;
  "not-encodable": Rejected;
  "too-large": Rejected<{ bytesMax: number }>;
  "group-offline": Rejected<{ state: GroupState }>;
  "outcome-unknown": Rejected<{ receipt: Receipt }>;
  "result-unavailable": { readonly position: number };
  "machine-failed": { readonly position: number; readonly command: string };
  "command-rejected": { readonly reason: string; readonly data: unknown };
  "command-unsupported": Rejected<{ members: readonly string[] }>;
  /** Nobody else is there to take over the group. */
  "last-voter": object;
  /** The group cannot be begun anew from this member's log, or not now. */
  "recover-refused": { readonly reason: RecoverRefusal; readonly peers: readonly string[] };
  /** A state cannot be exported, or not be imported. */
  "snapshot-refused": { readonly reason: SnapshotRefusal };
  "dial-failed": { readonly address: string };
}

export type ErrorCode = keyof ErrorDetails;
/** What is known of the effect; only `unknown` needs thought before a retry. `undefined` where no effect was possible. */
export type Outcome = "not-applied" | "applied" | "unknown" | undefined;

const BRAND = Symbol.for("mosaik.error");

/** The one error class of the library. Match on `code`, never on the message. */
export class MosaikError<Code extends ErrorCode = ErrorCode> extends Error {
  declare readonly name: "MosaikError";
  readonly code: Code;
  readonly outcome: Outcome;
  readonly details: ErrorDetails[Code];

  private constructor(code: Code, message: string, init: ErrorInit<Code>) {
    super(message, init.cause === undefined ? undefined : { cause: init.cause });
    this.code = code;
    this.outcome = init.outcome;
    const details: object = { ...init.details };
    for (const [name, value] of Object.entries(init.hidden ?? {})) {
      Object.defineProperty(details, name, { value, enumerable: false });
    }
    this.details = details as ErrorDetails[Code];
  }

  static {
    Object.defineProperty(MosaikError.prototype, "name", { value: "MosaikError" });
    Object.defineProperty(MosaikError.prototype, BRAND, { value: true });
  }

  /** @internal Use `mosaikError`. */
  static make<Code extends ErrorCode>(code: Code, message: string, init: ErrorInit<Code>): MosaikError<Code> {
    return new MosaikError(code, message, init);
  }

  /** Narrows, also across copies of the package: `if (MosaikError.is(error, "group-offline")) retry(error.details.rejected)`. */
  static is<Code extends ErrorCode = ErrorCode>(
    error: unknown,
    ...codes: Code[]
  ): error is { [C in Code]: MosaikError<C> }[Code] {
    if (typeof error !== "object" || error === null || !(BRAND in error)) return false;
    return codes.length === 0 || (codes as string[]).includes((error as unknown as MosaikError).code);
  }
}

export interface ErrorInit<Code extends ErrorCode> {
  readonly outcome?: Outcome;
  /** Enumerable facts: numbers, names, codes. */
  readonly details?: Partial<ErrorDetails[Code]>;
  /** The caller's values, which logging must not print. */
  readonly hidden?: Partial<ErrorDetails[Code]>;
  readonly cause?: unknown;
}

/** Makes an error of the registry. `message` is for people and holds no payload and no secret. */
export function mosaikError<Code extends ErrorCode>(
  code: Code,
  message: string,
  init: ErrorInit<Code> = {},
): MosaikError<Code> {
  const make = (): MosaikError<Code> => MosaikError.make(code, `${message} (${code})`, init);
  return code === "overloaded" ? withoutStack(make) : make();
}

/**
 * A stack costs ten times the rest of an error, and whoever is overloaded makes errors by the hundred thousand: to refuse must cost much less than
 * to serve.
 */
function withoutStack<T>(make: () => T): T {
  const limit = Error.stackTraceLimit;
  // Where the language's own objects are frozen this does nothing.
  Reflect.set(Error, "stackTraceLimit", 0);
  try {
    return make();
  } finally {
    Reflect.set(Error, "stackTraceLimit", limit);
  }
}

/** A wrong option, refused at once, by name. */
export function badOption(option: string, problem: string): MosaikError<"bad-option"> {
  return mosaikError("bad-option", `option \`${option}\` ${problem}`, { details: { option } });
}

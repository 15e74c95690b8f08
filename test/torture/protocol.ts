import type { Operation, OperationName, OperationOutcome } from "../../src/sim/history.ts";

export const GROUP = "torture";
export const MEMBERS = 5;
/** A member's exit code after an error of its disk. */
export const STORAGE_EXIT = 10;

/** What a member is started with: JSON in its first argument. */
export interface MemberInit {
  readonly secret: string;
  readonly listen: string;
  readonly advertise: string;
  readonly bootstrap: readonly string[];
  readonly dataDir: string;
  /** Where clients reach it: a way without faults. */
  readonly serve: { readonly host: string; readonly port: number };
}

/** What the harness asks a member, over IPC. */
export type Question =
  | { readonly ask: "view" }
  /** Resolves once the position is applied there. */
  | { readonly ask: "digest"; readonly position: number }
  /** Commands of which nothing is kept. */
  | { readonly ask: "pad"; readonly count: number; readonly bytes: number }
  | { readonly ask: "close" };

/** A member as it sees itself and the others. */
export interface View {
  readonly peer: string;
  readonly state: string;
  readonly leader: string | undefined;
  readonly position: number;
  readonly voters: readonly string[];
  /** What it has to write finds no room. */
  readonly isFull: boolean;
}

export interface Answers {
  readonly view: View;
  readonly digest: string;
  readonly pad: { readonly done: number; readonly errors: Readonly<Record<string, number>> };
  readonly close: null;
}

export type FromMember =
  | { readonly type: "listening"; readonly peer: string }
  | { readonly type: "answer"; readonly id: number; readonly answer?: unknown; readonly error?: string };

/** A line from a client to a member, and the one back. */
export interface Call {
  readonly id: number;
  readonly op: OperationName;
  readonly key: string;
  readonly input: unknown;
}
export interface Reply {
  readonly id: number;
  readonly outcome: OperationOutcome;
  readonly output: unknown;
}

/** What a client process is started with: JSON in its first argument. */
export interface ClientInit {
  readonly seed: number;
  /** Of the process: its clients' numbers and its values are of its own. */
  readonly number: number;
  readonly clients: number;
  readonly operationsPerKey: number;
  readonly members: readonly { readonly host: string; readonly port: number }[];
}

export type ToClient = { readonly type: "stop" } | { readonly type: "final-reads"; readonly keys: readonly string[] };
export type FromClient =
  | { readonly type: "operations"; readonly operations: readonly Operation[] }
  | { readonly type: "done" };

/** Keys of lists begin with `l`, all others are registers. */
export const isList = (key: string): boolean => key.startsWith("l");

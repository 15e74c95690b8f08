import { defineMachine } from "../src/index.ts";

/** Counts how often each id was applied: an id that counts twice was applied twice. */
export const Ledger = defineMachine("demo-ledger", {
  state: () => ({ counts: {} as Record<string, number>, total: 0 }),
  commands: {
    add: (ledger, id: string) => {
      ledger.total++;
      ledger.counts[id] = (ledger.counts[id] ?? 0) + 1;
      return ledger.total;
    },
  },
  queries: {
    counts: (ledger) => ledger.counts,
    total: (ledger) => ledger.total,
  },
});

/** Each command has an id of its own: whose it is, and its number there. */
export function idOf(name: string, number: number): string {
  return `${name}-${number}`;
}

/** What the director tells a process. */
export type Order =
  | { readonly type: "join"; readonly bootstrap: readonly string[] }
  | { readonly type: "load"; readonly concurrency: number }
  /** The leader was killed just now. */
  | { readonly type: "leader-killed" }
  | { readonly type: "stop-load" }
  | { readonly type: "report" }
  | { readonly type: "close" };

/** What a process tells the director. */
export type News =
  | { readonly type: "listening"; readonly peer: string; readonly address: string }
  | { readonly type: "online"; readonly leader: string }
  /** Commands up to this number may be sent from now on. */
  | { readonly type: "reserved"; readonly upTo: number }
  | { readonly type: "acknowledged"; readonly numbers: readonly number[] }
  /** A command that began after the kill was acknowledged. */
  | { readonly type: "first-after-kill"; readonly leader: string }
  /** How the group looks from here, several times a second. */
  | ({ readonly type: "view" } & View)
  | { readonly type: "load-stopped" }
  | { readonly type: "report"; readonly counts: Readonly<Record<string, number>> }
  | { readonly type: "closed" };

/** A member's view of its group. */
export interface View {
  readonly role: "voter" | "learner" | "observer";
  readonly isLeader: boolean;
  readonly term: number;
  readonly position: number;
  /** Ids of the peers that vote. */
  readonly voters: readonly string[];
}

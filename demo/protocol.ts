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

/** What the parent tells a node. */
export type Order =
  | { readonly type: "join"; readonly bootstrap: readonly string[] }
  | { readonly type: "load"; readonly concurrency: number }
  /** The leader was killed just now. */
  | { readonly type: "killed" }
  | { readonly type: "stop-load" }
  | { readonly type: "report" }
  | { readonly type: "close" };

/** What a node tells the parent. */
export type News =
  | { readonly type: "listening"; readonly peer: string; readonly address: string }
  | { readonly type: "online"; readonly leader: string }
  /** Ids up to this number are about to be sent. */
  | { readonly type: "issued"; readonly upTo: number }
  | { readonly type: "acknowledged"; readonly numbers: readonly number[]; readonly position: number }
  /** A command that began after the kill was acknowledged. */
  | { readonly type: "first-after-kill"; readonly leader: string }
  | { readonly type: "load-stopped"; readonly errors: Readonly<Record<string, number>> }
  | { readonly type: "report"; readonly counts: Readonly<Record<string, number>>; readonly position: number }
  | { readonly type: "closed" };

export function idOf(node: number, number: number): string {
  return `${node}-${number}`;
}

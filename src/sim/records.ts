import type { IncarnationId } from "../storage/index.ts";
import { checkExactlyOnce } from "./exactly-once.ts";
import { RunViolation } from "./group-invariants.ts";
import { History } from "./history.ts";
import { checkLinearizability } from "./linearizability.ts";
import type { RunReport } from "./report.ts";

/** What became of the counted ids, and how many operations ended how. */
export class Ledger {
  readonly acknowledged = new Set<string>();
  readonly unknown = new Set<string>();
  ok = 0;
  notApplied = 0;
}

/** What clients asked of one incarnation, and what came of it: incarnations share nothing, so each is judged by itself. */
export interface Record {
  readonly history: History;
  readonly ledger: Ledger;
}

export class Records {
  readonly #nowUs: () => number;
  readonly #byIncarnation = new Map<IncarnationId, Record>();

  /** @param nowUs - virtual time */
  constructor(nowUs: () => number) {
    this.#nowUs = nowUs;
  }

  of(incarnation: IncarnationId): Record {
    let record = this.#byIncarnation.get(incarnation);
    if (record === undefined) {
      record = { history: new History(this.#nowUs), ledger: new Ledger() };
      this.#byIncarnation.set(incarnation, record);
    }
    return record;
  }

  /** Operations that ended well, in all incarnations. */
  get ok(): number {
    return this.operations.ok;
  }

  get operations(): RunReport["operations"] {
    const sum = { ok: 0, notApplied: 0, unknown: 0 };
    for (const { history, ledger } of this.#byIncarnation.values()) {
      sum.ok += ledger.ok;
      sum.notApplied += ledger.notApplied;
      sum.unknown += history.count("unknown") + ledger.unknown.size;
    }
    return sum;
  }

  /** @throws RunViolation `linearizability` */
  checkHistories(): void {
    for (const { history } of this.#byIncarnation.values()) {
      const checked = checkLinearizability(history.operations());
      if (checked.verdict === "violation")
        throw new RunViolation("linearizability", `key ${checked.key}: ${checked.reason}`);
      if (checked.verdict === "undecided")
        throw new Error(`linearizability of key ${checked.key} could not be decided`);
    }
  }

  /** @param members - how often each id was counted, on each member of the incarnation. @throws RunViolation `exactly-once` */
  checkCounts(incarnation: IncarnationId, members: ReadonlyMap<string, ReadonlyMap<string, number>>): void {
    const { acknowledged, unknown } = this.of(incarnation).ledger;
    const { lost, duplicated, phantom } = checkExactlyOnce({ acknowledged, unknown, members });
    if (lost.length + duplicated.length + phantom.length === 0) return;
    throw new RunViolation("exactly-once", `lost ${lost}; duplicated ${duplicated}; from nowhere ${phantom}`);
  }
}

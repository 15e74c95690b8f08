import type { Bonds } from "./bonds.ts";
import { isSameProgress, isSameStatus, type MemberStatus } from "./status.ts";

/** Tells all bonded members of ourselves, at each change; how far we are, at most once a second. */
export class StatusTeller {
  readonly #bonds: () => Bonds;
  #told: MemberStatus | undefined;

  constructor(bonds: () => Bonds) {
    this.#bonds = bonds;
  }

  /** If anything but our position changed. */
  tell(status: MemberStatus): void {
    if (this.#told !== undefined && isSameStatus(status, this.#told)) return;
    this.#told = status;
    for (const bond of this.#bonds().all) bond.send({ type: "status", status });
  }

  /** Once a second: if anything changed. */
  tellPosition(status: MemberStatus): void {
    if (this.#told !== undefined && !isSameProgress(status, this.#told)) this.#told = undefined;
    this.tell(status);
  }
}

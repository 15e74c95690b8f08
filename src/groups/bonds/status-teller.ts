import type { Bonds } from "./bonds.ts";
import { isSameStatus, type MemberStatus } from "./status.ts";

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
    if (status.position !== this.#told?.position || status.index !== this.#told?.index) this.#told = undefined;
    this.tell(status);
  }
}

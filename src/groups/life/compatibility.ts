import type { PeerId } from "../../identity/index.ts";
import { type Bond, type Bonds, UNSUPPORTED_MEMBERS_MAX } from "../bonds/index.ts";
import { type CommandSupport, decideVersion, isFit, peerOf, type Support } from "../entries/index.ts";
import type { Life } from "./life.ts";

export interface CompatibilityOptions {
  readonly own: Support;
  readonly selfId: PeerId;
  readonly bonds: () => Bonds;
  readonly life: () => Life | undefined;
}

/** What this group's members can apply, as one of them sees it: which commands may be sent, what can be agreed on next, and who is too old. */
export class Compatibility {
  readonly own: Support;
  readonly #o: CompatibilityOptions;
  #agreed: Support | undefined;
  #isComplete = false;

  constructor(options: CompatibilityOptions) {
    this.own = options.own;
    this.#o = options;
  }

  /** All of our commands may be sent: nobody needs to ask for each. */
  get isComplete(): boolean {
    const agreed = this.#o.life()?.office.agreed;
    if (agreed !== this.#agreed) {
      this.#agreed = agreed;
      this.#isComplete = agreed !== undefined && this.own.commands.every((name) => agreed.commands.includes(name));
    }
    return this.#isComplete;
  }

  /** @param isLate - no more waiting: whoever did not say that it knows them counts as lacking them */
  supportOf(names: readonly string[], isLate: boolean): CommandSupport {
    const agreed = this.#o.life()?.office.agreed;
    if (agreed !== undefined && names.every((name) => agreed.commands.includes(name))) return "agreed";
    const lacking = this.#members().filter(({ support }) =>
      support === undefined ? isLate : names.some((name) => !support.commands.includes(name)),
    );
    if (agreed === undefined || lacking.length === 0) return "waiting";
    return lacking.map(({ peer }) => peer).slice(0, UNSUPPORTED_MEMBERS_MAX);
  }

  /** Who is behind this bond's peer, ourselves included. */
  behind({ machine }: Bond): readonly PeerId[] {
    const others = this.#members().filter(({ support }) => (support?.version ?? 0) < (machine?.version ?? 0));
    const own = others.some(({ peer }) => peer === this.#o.selfId) ? [] : [this.#o.selfId];
    return [...own, ...others.map(({ peer }) => peer)].slice(0, UNSUPPORTED_MEMBERS_MAX);
  }

  /** What to agree on next, if there is anything. @param agreed - the last such entry in our log */
  next(agreed: Support | undefined): Support | undefined {
    return decideVersion(
      agreed,
      this.#members().map(({ support }) => support),
    );
  }

  /** Not older than what the group agreed on, as far as it said. */
  isFit(bond: Bond | undefined): boolean {
    const agreed = this.#o.life()?.replica.agreed;
    return agreed === undefined || (bond?.machine !== undefined && isFit(bond.machine, agreed));
  }

  /** Why this peer is refused. A voter that went back to older code is not: its vote is needed, though its machine is halted. */
  refusalOf(peer: PeerId, version: number): string | undefined {
    const life = this.#o.life();
    const agreed = life?.replica.agreed;
    if (agreed === undefined || version >= agreed.version) return undefined;
    if (life?.voters.some((voter) => peerOf(voter) === peer) === true) return undefined;
    return `the group is at version ${agreed.version} of its machine; version ${version} is too old`;
  }

  /** Voters and spares, ourselves included. A reader that is too old already holds nobody up. */
  #members(): { readonly peer: PeerId; readonly support: Support | undefined }[] {
    const life = this.#o.life();
    if (life === undefined) return [];
    const voters = new Set(life.voters.map(peerOf));
    const members = [...voters].map((peer) => ({
      peer,
      support: peer === this.#o.selfId ? this.own : this.#o.bonds().get(peer)?.machine,
    }));
    for (const bond of this.#o.bonds().all) {
      const { peer, status, machine } = bond;
      const isSpare = status.isEligible && status.role === "reader" && status.incarnation === life.incarnation;
      if (isSpare && !voters.has(peer) && this.isFit(bond)) members.push({ peer, support: machine });
    }
    return members;
  }
}

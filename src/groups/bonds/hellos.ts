import { LIMITS, type Logger } from "../../env/index.ts";
import { type PeerId, type Secret, UniqueId } from "../../identity/index.ts";
import { CLOSE, type Link } from "../../wire/index.ts";
import { type BondHello, encodeHello } from "./frames.ts";
import type { Openings, OpeningsMemory } from "./openings.ts";
import type { MemberStatus } from "./status.ts";

/** Refusals of every day. */
const EXPECTED: ReadonlySet<number> = new Set([
  CLOSE.groupAlreadyBonded,
  CLOSE.groupCrowded,
  CLOSE.groupNotFound,
  CLOSE.gracefulShutdown,
]);

/** What a hello's proof is bound to. */
export type Stream = { readonly remoteId: PeerId; exportKey: Link["exportKey"] };
/** The side that says the hello, so that no proof can be sent back. */
export type Side = "dial" | "accept";
export interface Refusal {
  readonly refuse: number;
  readonly reason: string;
}

export interface HellosOptions {
  readonly selfId: PeerId;
  readonly group: UniqueId;
  /** Of the group itself; none: the network's proof is enough. */
  readonly secrets: readonly Secret[];
  readonly machine: BondHello["machine"];
  readonly logger: Logger;
  readonly status: () => MemberStatus;
  /** Of our store. */
  readonly openings: () => Openings;
  /** Why this peer's machine is too old for the group, if it is. */
  readonly refusalOf: (peer: PeerId, version: number) => string | undefined;
}

/** What two members say to each other before they are bonded: that they know the secret, and are of one group, machine and history. */
export class Hellos {
  readonly #o: HellosOptions;
  readonly #memory: OpeningsMemory;
  readonly #reported = new Set<string>();

  /** @param memory - of the stores that others came with */
  constructor(options: HellosOptions, memory: OpeningsMemory) {
    this.#o = options;
    this.#memory = memory;
  }

  /** Ours. */
  make(stream: Stream, side: Side): Uint8Array {
    const proof = this.#o.secrets[0]?.prove(this.#o.selfId, this.#exported(stream, side)) ?? new Uint8Array(0);
    return encodeHello({
      group: this.#o.group,
      proof,
      machine: this.#o.machine,
      openings: this.#o.openings(),
      status: this.#o.status(),
    });
  }

  /** Why there can be no bond with who said this, if so. @param side - of the other one */
  refusal(hello: BondHello, stream: Stream, side: Side): Refusal | undefined {
    const peer = stream.remoteId;
    if (peer === this.#o.selfId) return { refuse: CLOSE.groupNotAllowed, reason: "the same peer" };
    if (!this.#isProven(hello.proof, stream, side)) {
      this.report(peer, CLOSE.groupInvalidProof, "wrong or missing secret");
      return { refuse: CLOSE.groupInvalidProof, reason: "the group's secret was not proved" };
    }
    if (this.#o.openings().count === 0 || hello.openings.count === 0)
      return { refuse: CLOSE.groupNotFound, reason: "the store is not open yet" };
    const doubt = this.#memory.doubt(peer, hello.status.storeId, hello.openings);
    if (doubt !== undefined) {
      this.report(peer, CLOSE.groupStaleStore, doubt);
      return { refuse: CLOSE.groupStaleStore, reason: doubt };
    }
    const { name, codec } = this.#o.machine;
    const outdated = this.#o.refusalOf(peer, hello.machine.version);
    if (hello.machine.name === name && hello.machine.codec === codec && outdated === undefined) return undefined;
    const reason =
      outdated ??
      `machine \`${name}\` with codec \`${codec}\` here, \`${hello.machine.name}\` with \`${hello.machine.codec}\` there`;
    this.report(peer, CLOSE.groupMismatch, reason);
    return { refuse: CLOSE.groupMismatch, reason };
  }

  /** Once for each peer and cause: a peer that tries on must not fill the log. */
  report(peer: PeerId, code: number, reason: string): void {
    const key = `${peer}/${code}`;
    if (EXPECTED.has(code) || this.#reported.has(key) || this.#reported.size >= LIMITS.bondsMax) return;
    this.#reported.add(key);
    this.#o.logger.warn(
      { peer: UniqueId.short(peer), group: UniqueId.short(this.#o.group), code, reason },
      "no bond with a member",
    );
  }

  #isProven(proof: Uint8Array, stream: Stream, side: Side): boolean {
    if (this.#o.secrets.length === 0) return proof.length === 0;
    const exported = this.#exported(stream, side);
    return this.#o.secrets.some((secret) => secret.verify(stream.remoteId, exported, proof));
  }

  #exported(stream: Stream, side: Side): Uint8Array {
    return stream.exportKey(`mosaik group ${side}`, UniqueId.toBytes(this.#o.group), 32);
  }
}

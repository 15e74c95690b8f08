import type { EntryVersion, Peer, Ticket } from "../../src/discovery/index.ts";
import { hash, type PeerId, type UniqueId } from "../../src/identity/index.ts";
import {
  Admission,
  type AdmissionEffect,
  type AdmissionOptions,
  type Candidate,
  type Judgement,
  Sources,
  type SourcesEffect,
  type SourcesOptions,
  type Verdict,
} from "../../src/streams/matching/index.ts";

// For tests alone: peers by name, and benches that tell what happens as lines of text.

/** In the order of their ids. */
export const NAMES = ["ada", "bob", "cyd", "dan", "eve", "fay", "gil", "hal"] as const;
export type Name = (typeof NAMES)[number];

/** Ids that sort as the names do. */
export function idOf(name: string): PeerId {
  return `${Buffer.from(name).toString("hex")}${hash(name)}`.slice(0, 64) as UniqueId as PeerId;
}

export function nameOf(id: PeerId): string {
  return NAMES.find((name) => idOf(name) === id) ?? "nobody";
}

export interface Looks {
  readonly tags?: readonly string[];
  readonly rttMs?: number;
  readonly score?: number;
  readonly startMs?: number;
  readonly updateMs?: number;
  /** Each text is a ticket. */
  readonly tickets?: readonly string[];
}

export function candidate(name: string, looks: Looks = {}): Candidate {
  const { tags = [], rttMs, score = 0, tickets = [] } = looks;
  const peer: Peer = {
    id: idOf(name),
    addresses: [],
    tags: new Set(tags),
    attributes: { score: String(score) },
    rttMs,
  };
  return { peer, version: versionOf(looks), tickets: tickets.map(ticket) };
}

export function versionOf({ startMs = 1, updateMs = 1 }: Pick<Looks, "startMs" | "updateMs">): EntryVersion {
  return { startMs, updateMs };
}

export function ticket(text: string): Ticket {
  return { class: hash("class/test"), data: new Uint8Array(Buffer.from(text)) };
}

export const scoreOf = (peer: Peer): number => Number(peer.attributes["score"]);

/** A consumer's side, and a clock. All waits are drawn at the middle of their range unless `random` says otherwise. */
export class SourcesBench {
  nowMs = 1_000;
  readonly sources: Sources;

  constructor(options: Partial<SourcesOptions> = {}) {
    this.sources = new Sources({
      rule: {},
      needsTickets: false,
      maxProducers: undefined,
      prefer: undefined,
      random: () => 0.5,
      ...options,
    });
  }

  /** What it wants, since it was last asked. */
  lines(): string[] {
    return this.sources.takeEffects().map(lineOf);
  }

  /** Advertises, or changes; then what follows. */
  peer(name: Name, looks: Looks = {}): string[] {
    this.sources.onPeer(candidate(name, looks), this.nowMs);
    return this.lines();
  }

  gone(name: Name): string[] {
    this.sources.onGone(idOf(name), this.nowMs);
    return this.lines();
  }

  accepted(name: Name): string[] {
    this.sources.onAccepted(idOf(name), this.nowMs);
    return this.lines();
  }

  closed(name: Name, code: number): string[] {
    this.sources.onClosed(idOf(name), { code }, this.nowMs);
    return this.lines();
  }

  verdict(name: Name, verdict: Verdict, version: Pick<Looks, "startMs" | "updateMs"> = {}): string[] {
    this.sources.onVerdict(idOf(name), versionOf(version), verdict, this.nowMs);
    return this.lines();
  }

  /** Time passes, with ticks where they are wanted. Each line begins with how long it took. */
  pass(ms: number): string[] {
    return passTime(this, this.sources, ms, () => this.lines());
  }

  /** Time passes until something is wanted, and no longer than this. */
  passUntilNext(msMax: number): string[] {
    return passTime(this, this.sources, msMax, () => this.lines(), true);
  }

  states(): Record<string, string> {
    return Object.fromEntries(this.sources.inspect().map(({ peer, state }) => [nameOf(peer), state]));
  }
}

/** A producer's side, and a clock. Consumers are named by texts. */
export class AdmissionBench {
  nowMs = 1_000;
  readonly admission: Admission<string>;

  constructor(options: Partial<AdmissionOptions> = {}) {
    this.admission = new Admission({ rule: {}, needsTickets: false, maxConsumers: undefined, ...options });
  }

  lines(): string[] {
    return this.admission.takeEffects().map(lineOf);
  }

  /** The judgement, and nothing of the effects. */
  enter(key: string, name: Name | undefined, looks: Looks = {}): string {
    const judgement = this.admission.enter(key, name && candidate(name, looks), this.nowMs);
    return judgementLine(judgement);
  }

  leave(key: string): string[] {
    this.admission.leave(key, this.nowMs);
    return this.lines();
  }

  peer(name: Name, looks: Looks = {}): string[] {
    this.admission.onPeer(candidate(name, looks), this.nowMs);
    return this.lines();
  }

  gone(name: Name): string[] {
    this.admission.onGone(idOf(name), this.nowMs);
    return this.lines();
  }

  verdict(name: Name, verdict: Verdict, version: Pick<Looks, "startMs" | "updateMs"> = {}): string[] {
    this.admission.onVerdict(idOf(name), versionOf(version), verdict, this.nowMs);
    return this.lines();
  }

  pass(ms: number): string[] {
    return passTime(this, this.admission, ms, () => this.lines());
  }
}

export function judgementLine(judgement: Judgement): string {
  return judgement.type === "refuse" ? `refuse ${judgement.code}` : judgement.type;
}

function lineOf(effect: SourcesEffect | AdmissionEffect<string>): string {
  const who = "key" in effect ? effect.key : nameOf(effect.id);
  switch (effect.type) {
    case "disconnect":
    case "remove":
      return `${effect.type} ${who} ${effect.code}`;
    case "validate":
      return `validate ${who} ${effect.candidate.version.startMs}/${effect.candidate.version.updateMs}`;
    default:
      return `${effect.type} ${who}`;
  }
}

function passTime(
  bench: { nowMs: number },
  core: { readonly nextAtMs: number | undefined; tick(nowMs: number): void },
  ms: number,
  lines: () => string[],
  isShort = false,
): string[] {
  const startMs = bench.nowMs;
  const seen = lines();
  for (let turns = 0; ; turns += 1) {
    if (turns > 10_000) throw new Error("ticks are wanted without end");
    const nextAtMs = core.nextAtMs;
    if (nextAtMs === undefined || nextAtMs > startMs + ms) break;
    if (isShort && seen.length > 0) return seen;
    if (nextAtMs <= bench.nowMs) throw new Error(`a tick is wanted at ${nextAtMs}, and it is ${bench.nowMs}`);
    bench.nowMs = nextAtMs;
    core.tick(nextAtMs);
    seen.push(...lines().map((line) => `${Math.round(nextAtMs - startMs)} ms: ${line}`));
  }
  bench.nowMs = startMs + ms;
  return seen;
}

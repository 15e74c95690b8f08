import type { EntryVersion, Peer, PeerRule } from "../../discovery/index.ts";
import { assert } from "../../env/index.ts";
import type { PeerId } from "../../identity/index.ts";
import { CLOSE } from "../../wire/index.ts";
import { type Candidate, isOlder } from "./candidate.ts";
import { Client } from "./client.ts";
import { RuleCheck } from "./rule.ts";
import type { Verdict } from "./tickets.ts";

/** Timers do not reach as far as some tickets do. */
const LOOK_AGAIN_MS = 3_600_000;

export type Judgement =
  | { readonly type: "refuse"; readonly code: number; readonly reason: string }
  /** It has a place. */
  | { readonly type: "admit" }
  /** It has a place, and an effect will say whether it may keep it: `admit` or `remove`. */
  | { readonly type: "wait" };

export type AdmissionEffect<Key> =
  | { readonly type: "admit"; readonly key: Key }
  | { readonly type: "remove"; readonly key: Key; readonly code: number; readonly reason: string }
  /** To be answered by `onVerdict`, once, with this one's version. */
  | { readonly type: "validate"; readonly id: PeerId; readonly candidate: Candidate };

export interface AdmissionOptions {
  readonly rule: PeerRule;
  readonly needsTickets: boolean;
  /** Links, not peers. Undefined: no limit. */
  readonly maxConsumers: number | undefined;
}

/**
 * Who may hear a producer. Pure, as `Sources` is, and driven alike. A key stands for one consumer's link; a peer may have several.
 *
 * 1. At most `maxConsumers` have a place, those among them who wait for a verdict.
 * 2. Who is admitted fits the rule and shows good tickets by its newest entry; when that ends, so does the link.
 * 3. Each who waits is admitted or removed in bounded time, whatever validators do.
 *
 * A peer that leaves the catalog keeps its places: its link is better proof of life than gossip, and ends by itself if it is dead. What was last
 * known of it counts, and its tickets end when they end.
 */
export class Admission<Key> {
  readonly #options: AdmissionOptions;
  readonly #max: number;
  readonly #check: RuleCheck;
  readonly #clients = new Map<PeerId, Client<Key>>();
  readonly #owners = new Map<Key, Client<Key>>();
  /** What happened to them is not decided on yet. A producer may have thousands; one that comes must not cost a look at all. */
  readonly #touched = new Set<Client<Key>>();
  #effects: AdmissionEffect<Key>[] = [];
  #nowMs = Number.NEGATIVE_INFINITY;
  #isDecided = true;
  /** Nothing changes by itself sooner than this, nor perhaps then. */
  #dueMs = Number.POSITIVE_INFINITY;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#max = options.maxConsumers ?? Number.POSITIVE_INFINITY;
    this.#check = new RuleCheck(options.rule, undefined);
  }

  /** Places taken. */
  get size(): number {
    return this.#owners.size;
  }

  /**
   * A consumer asks for a place, and has it unless it is refused; then `leave` gives it back. The order: is it known, is there room, the rule, the tickets.
   * @param key - not in use
   * @param candidate - what the catalog has of its peer; undefined: nothing
   */
  enter(key: Key, candidate: Candidate | undefined, nowMs: number): Judgement {
    assert(!this.#owners.has(key), "a consumer asks for one place");
    this.#at(nowMs);
    if (candidate === undefined) return refusal(CLOSE.unknownPeer, "this peer's entry is not known here");
    if (this.#owners.size >= this.#max) return refusal(CLOSE.streamNoCapacity, "the producer has no place left");
    const client = this.#clientOf(candidate);
    const objection = client.objection(this.#nowMs);
    if (objection !== undefined) return refusal(CLOSE.streamNotAllowed, objection);
    const isSettled = client.isSettled(this.#nowMs);
    this.#clients.set(client.id, client);
    this.#owners.set(key, client);
    this.#touched.add(client);
    client.consumers.set(key, isSettled ? "admitted" : "waiting");
    return { type: isSettled ? "admit" : "wait" };
  }

  /** Its link ended. */
  leave(key: Key, nowMs: number): void {
    this.#at(nowMs);
    this.#release(key);
  }

  /** The newest that is known of a peer with a consumer here, also of one that left the catalog. */
  peer(id: PeerId): Peer | undefined {
    return this.#clients.get(id)?.candidate.peer;
  }

  /** A peer's entry or round trip changed; peers without a consumer here do not matter. */
  onPeer(candidate: Candidate, nowMs: number): void {
    this.#at(nowMs);
    if (this.#clients.has(candidate.peer.id)) this.#clientOf(candidate);
  }

  /** The catalog has it no more. */
  onGone(id: PeerId, nowMs: number): void {
    this.#at(nowMs);
    const client = this.#clients.get(id);
    if (client !== undefined) client.isGone = true;
  }

  /** What the validators say of the tickets that this version of its entry shows; on our clock. */
  onVerdict(id: PeerId, version: EntryVersion, verdict: Verdict, nowMs: number): void {
    this.#at(nowMs);
    const client = this.#clients.get(id);
    if (client === undefined) return;
    client.review?.answer(version, verdict, this.#nowMs);
    this.#touched.add(client);
  }

  tick(nowMs: number): void {
    this.#at(nowMs);
  }

  /** Decides, and hands over what is to be done. Once empty it stays so until something happens. Who is removed has no place any more. */
  takeEffects(): readonly AdmissionEffect<Key>[] {
    if (!this.#isDecided) this.#decide();
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  /** When `tick` is wanted: now, if something has happened since effects were taken. Undefined: nothing is waited for. */
  get nextAtMs(): number | undefined {
    if (!this.#isDecided) return this.#nowMs;
    return this.#dueMs === Number.POSITIVE_INFINITY ? undefined : Math.min(this.#dueMs, this.#nowMs + LOOK_AGAIN_MS);
  }

  /** The first thing that `where` threw; told once. */
  takeProblem(): { readonly cause: unknown } | undefined {
    return this.#check.takeProblem();
  }

  #at(nowMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    this.#isDecided = false;
  }

  /** With the newest that is known of it. */
  #clientOf(candidate: Candidate): Client<Key> {
    const nowMs = this.#nowMs;
    const known = this.#clients.get(candidate.peer.id);
    // Who comes back may have begun to count anew.
    if (known !== undefined && !known.isGone && isOlder(candidate, known.candidate)) return known;
    const fit = this.#check.fit(candidate.peer);
    const client = known ?? new Client(candidate, fit, { needsTickets: this.#options.needsTickets, nowMs });
    if (known === undefined) return client;
    known.update(candidate, fit, nowMs);
    this.#touched.add(known);
    return known;
  }

  #decide(): void {
    const isDue = this.#nowMs >= this.#dueMs;
    const clients = isDue ? [...this.#clients.values()] : [...this.#touched];
    if (isDue) this.#dueMs = Number.POSITIVE_INFINITY;
    this.#touched.clear();
    for (const client of clients) {
      client.review?.tick(this.#nowMs);
      if (client.consumers.size > 0) this.#judge(client);
      if (client.isForgettable) this.#forget(client);
      else for (const atMs of client.dates) if (atMs > this.#nowMs) this.#dueMs = Math.min(this.#dueMs, atMs);
    }
    this.#isDecided = true;
  }

  #judge(client: Client<Key>): void {
    const { id, review, candidate, consumers } = client;
    const reason = client.objection(this.#nowMs);
    if (reason !== undefined) {
      for (const key of [...consumers.keys()]) {
        this.#release(key);
        this.#effects.push({ type: "remove", key, code: CLOSE.streamNotAllowed, reason });
      }
      return;
    }
    if (review?.isWanted(this.#nowMs)) {
      review.ask(this.#nowMs);
      this.#effects.push({ type: "validate", id, candidate });
    }
    if (!client.isSettled(this.#nowMs)) return;
    for (const [key, standing] of consumers) {
      if (standing === "admitted") continue;
      consumers.set(key, "admitted");
      this.#effects.push({ type: "admit", key });
    }
  }

  /** Its peer may have come again in the meantime. */
  #forget(client: Client<Key>): void {
    if (this.#clients.get(client.id) === client) this.#clients.delete(client.id);
  }

  #release(key: Key): void {
    const client = this.#owners.get(key);
    if (client === undefined) return;
    this.#owners.delete(key);
    client.consumers.delete(key);
    this.#touched.add(client);
  }
}

function refusal(code: number, reason: string): Judgement {
  return { type: "refuse", code, reason };
}

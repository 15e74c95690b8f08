import { deepEqual, equal, ok } from "node:assert/strict";
import fc from "fast-check";
import type { EntryVersion } from "../../src/discovery/index.ts";
import { SeededRandom } from "../../src/env/index.ts";
import { Sources, type SourcesEffect, type Verdict } from "../../src/streams/matching/index.ts";
import { CLOSE } from "../../src/wire/index.ts";
import { candidate, idOf, NAMES, type Name, nameOf, scoreOf, versionOf } from "./matching-kit.ts";

// For tests alone: a consumer's side among producers that behave as they like. It plays the driver, and checks every effect.

/** What a producer does with who dials it. */
const BEHAVIOURS = ["accept", "hang", "break", "refuse"] as const;
const CODES = [
  CLOSE.unknownPeer,
  CLOSE.streamNotAllowed,
  CLOSE.streamNotFound,
  CLOSE.streamMismatch,
  CLOSE.streamTooSlow,
  CLOSE.streamNoCapacity,
  CLOSE.gracefulShutdown,
  CLOSE.protocolViolation,
  CLOSE.unexpectedClose,
  CLOSE.cancelled,
  12_345,
] as const;
const TICKETS = ["good", "short", "bad", "silent"] as const;
const SHORT_MS = 3_000;

const name = fc.constantFrom(...NAMES);
const code = fc.constantFrom(...CODES);

/** What happens to a consumer; `isApart`: the driver gets to its effects before the next thing happens. */
export const happening = fc.record({
  isApart: fc.boolean(),
  what: fc.oneof(
    fc.record({
      type: fc.constant("advertise" as const),
      name,
      isGood: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
      score: fc.integer({ min: -3, max: 3 }),
      ticket: fc.constantFrom(...TICKETS),
      isNewLife: fc.boolean(),
    }),
    fc.record({ type: fc.constant("gone" as const), name }),
    fc.record({ type: fc.constant("behave" as const), name, behaviour: fc.constantFrom(...BEHAVIOURS), code }),
    fc.record({ type: fc.constant("close" as const), name, code }),
    fc.record({ type: fc.constant("self" as const) }),
    fc.record({ type: fc.constant("pass" as const), ms: fc.oneof(fc.nat(400), fc.nat(30_000)) }),
    fc.record({ type: fc.constant("nonsense" as const), name, code, updateMs: fc.nat(20) }),
  ),
});
export type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never;

interface Producer {
  isGood: boolean;
  score: number;
  ticket: (typeof TICKETS)[number];
  version: EntryVersion;
}

export class SourcesWorld {
  readonly sources: Sources;
  readonly #max: number | undefined;
  readonly #needsTickets: boolean;
  readonly #random: SeededRandom;
  readonly #producers = new Map<Name, Producer>();
  /** No two entries of a peer have the same version, whoever forgot it meanwhile. */
  readonly #versions = new Map<Name, EntryVersion>();
  readonly #behaviours = new Map<Name, { behaviour: (typeof BEHAVIOURS)[number]; code: number }>();
  /** A number for each link that was asked for, so that late answers of an earlier one are not given. */
  readonly #links = new Map<Name, { number: number; isAccepted: boolean }>();
  #later: { readonly atMs: number; readonly run: () => void }[] = [];
  #isCalm = false;
  #number = 0;
  #nowMs = 0;
  /** Connects and disconnects. */
  moves = 0;

  constructor(options: { seed: number; max: number | undefined; needsTickets: boolean }) {
    this.#random = new SeededRandom(options.seed);
    this.#max = options.max;
    this.#needsTickets = options.needsTickets;
    this.sources = new Sources({
      rule: { tags: "good" },
      needsTickets: options.needsTickets,
      maxProducers: options.max,
      prefer: options.max === undefined ? undefined : scoreOf,
      random: () => this.#random.below(1_000_000) / 1_000_000,
    });
  }

  happen({ what, isApart }: Happening): void {
    this.#happen(what);
    if (isApart) this.#drive();
  }

  /** All faults end. */
  calm(): void {
    this.#isCalm = true;
    this.#drive();
  }

  pass(ms: number): void {
    this.#drive();
    const endMs = this.#nowMs + ms;
    for (;;) {
      const never = Number.POSITIVE_INFINITY;
      const atMs = Math.min(this.sources.nextAtMs ?? never, this.#later[0]?.atMs ?? never);
      if (atMs > endMs) break;
      ok(atMs >= this.#nowMs);
      this.#nowMs = atMs;
      if (this.#later[0]?.atMs === atMs) this.#later.shift()?.run();
      // Also when an answer came in the same instant: it may have been of a link that is no more, and told nothing.
      if ((this.sources.nextAtMs ?? never) <= atMs) this.sources.tick(atMs);
      this.#drive();
    }
    this.#nowMs = endMs;
  }

  /** Connected with whom it should be, when all went well for long enough. */
  checkSettled(): void {
    const connected = [...this.#links].filter(([, { isAccepted }]) => isAccepted).map(([who]) => who);
    const wanted = [...this.#producers].filter(([, producer]) => this.#isWanted(producer)).map(([who]) => who);
    const best = wanted.sort((a, b) => this.#scoreOf(b) - this.#scoreOf(a)).slice(0, this.#max);
    // Of those of equal score any will do. Whole numbers that differ, differ clearly.
    deepEqual(connected.map((who) => this.#scoreOf(who)).sort(), best.map((who) => this.#scoreOf(who)).sort());
    for (const who of connected) ok(wanted.includes(who));
    equal(this.#links.size, connected.length);
  }

  #happen(what: Happening["what"]): void {
    switch (what.type) {
      case "advertise": {
        const { isGood, score, ticket } = what;
        const last = this.#versions.get(what.name) ?? versionOf({});
        const version = what.isNewLife
          ? versionOf({ startMs: last.startMs + 1 })
          : { ...last, updateMs: last.updateMs + 1 };
        this.#versions.set(what.name, version);
        this.#producers.set(what.name, { isGood, score: this.#max === undefined ? 0 : score, ticket, version });
        return this.#tell(what.name);
      }
      case "gone":
        this.#producers.delete(what.name);
        return this.sources.onGone(idOf(what.name), this.#nowMs);
      case "behave":
        return void this.#behaviours.set(what.name, what);
      case "close":
        return this.#close(what.name, what.code);
      case "self":
        return this.sources.onSelfChanged(this.#nowMs);
      case "pass":
        return this.pass(what.ms);
      case "nonsense":
        return this.#talkNonsense(what.name, what.code, what.updateMs);
    }
  }

  /** What a confused driver might say. Not of a link that there is: that would be true. */
  #talkNonsense(who: Name, ofCode: number, updateMs: number): void {
    const link = this.#links.get(who);
    if (link === undefined) this.sources.onClosed(idOf(who), { code: ofCode }, this.#nowMs);
    if (link === undefined || link.isAccepted) this.sources.onAccepted(idOf(who), this.#nowMs);
    this.sources.onVerdict(idOf(who), { startMs: 0, updateMs }, { validUntilMs: undefined }, this.#nowMs);
    this.sources.onPeer(candidate("ada", { startMs: 0 }), this.#nowMs - 5_000);
    if (!this.#producers.has("ada")) this.sources.onGone(idOf("ada"), this.#nowMs - 5_000);
  }

  #tell(who: Name): void {
    const { isGood, score, ticket, version } = this.#producers.get(who) as Producer;
    const looks = { tags: isGood ? ["good"] : [], score, tickets: [ticket], ...version };
    this.sources.onPeer(candidate(who, looks), this.#nowMs);
  }

  #drive(): void {
    for (let effects = this.sources.takeEffects(); effects.length > 0; effects = this.sources.takeEffects()) {
      for (const effect of effects) this.#execute(effect);
      this.#checkPlaces();
    }
    const next = this.sources.nextAtMs;
    ok(next === undefined || next > this.#nowMs, `a tick is wanted at ${next}, and it is ${this.#nowMs}`);
  }

  #checkPlaces(): void {
    const views = this.sources.inspect();
    deepEqual(
      views.map(({ peer }) => peer),
      [...this.#producers.keys()].sort().map(idOf),
    );
    const placed = views.filter(({ state }) => state !== "idle" && state !== "waiting");
    ok(placed.length <= (this.#max ?? Number.POSITIVE_INFINITY) + (this.#max === 0 ? 0 : 1));
    const accepted = [...this.#links.values()].filter(({ isAccepted }) => isAccepted);
    ok(accepted.length <= (this.#max ?? Number.POSITIVE_INFINITY));
    for (const { peer, state } of views) {
      const link = this.#links.get(nameOf(peer) as Name);
      const expected = link === undefined ? undefined : link.isAccepted ? "connected" : "connecting";
      equal(state === "connected" || state === "connecting" ? state : undefined, expected);
      if (link !== undefined) ok(this.#producers.get(nameOf(peer) as Name)?.isGood);
    }
  }

  #execute(effect: SourcesEffect): void {
    const who = nameOf(effect.id) as Name;
    if (effect.type !== "disconnect") ok(this.#producers.has(who), `${effect.type} of nobody`);
    switch (effect.type) {
      case "connect":
        ok(!this.#links.has(who), "connected twice");
        this.moves += 1;
        this.#number += 1;
        this.#links.set(who, { number: this.#number, isAccepted: false });
        return this.#answer(who, this.#number);
      case "disconnect":
        ok(this.#links.delete(who), "disconnected from nobody");
        this.moves += 1;
        return;
      case "validate":
        ok(this.#needsTickets);
        return this.#judge(who, effect.candidate.version);
      case "introduce":
        return;
    }
  }

  #answer(who: Name, number: number): void {
    const { behaviour, code: ofCode } = this.#behaviours.get(who) ?? { behaviour: "accept", code: 0 };
    this.#soon(() => {
      const link = this.#links.get(who);
      if (link?.number !== number) return;
      if (this.#isCalm || behaviour === "accept" || behaviour === "break") {
        link.isAccepted = true;
        this.sources.onAccepted(idOf(who), this.#nowMs);
      } else if (behaviour === "refuse") this.#close(who, ofCode);
      if (!this.#isCalm && behaviour === "break") this.#soon(() => this.#close(who, ofCode));
    });
  }

  #judge(who: Name, version: EntryVersion): void {
    const ticket = this.#producers.get(who)?.ticket;
    if (ticket === "silent" && !this.#isCalm) return;
    const isRefused = ticket === "bad";
    this.#soon(() => {
      const validUntilMs = ticket === "short" ? this.#nowMs + SHORT_MS : undefined;
      const verdict: Verdict = isRefused ? "refused" : { validUntilMs };
      this.sources.onVerdict(idOf(who), version, verdict, this.#nowMs);
    });
  }

  #close(who: Name, ofCode: number): void {
    if (!this.#links.delete(who)) return;
    this.sources.onClosed(idOf(who), { code: ofCode }, this.#nowMs);
  }

  #soon(run: () => void): void {
    this.#later.push({ atMs: this.#nowMs + this.#random.below(1_000), run });
    this.#later = this.#later.sort((a, b) => a.atMs - b.atMs);
  }

  #isWanted({ isGood, ticket }: Producer): boolean {
    return isGood && (!this.#needsTickets || ticket !== "bad");
  }

  #scoreOf(who: Name): number {
    return this.#producers.get(who)?.score ?? 0;
  }
}

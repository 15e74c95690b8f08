import { deepEqual, equal, ok } from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { candidate, NAMES, type Name, nameOf } from "../../../test/streams/matching-kit.ts";
import { Admission } from "./admission.ts";

/** A validator's ten seconds, or five for a round trip; and whatever was asked before. */
const JUDGED_WITHIN_MS = 10_000;

const name = fc.constantFrom(...NAMES);
const happening = fc.oneof(
  fc.record({ type: fc.constant("enter" as const), name, isKnown: fc.boolean() }),
  fc.record({ type: fc.constant("leave" as const), key: fc.nat(40) }),
  fc.record({
    type: fc.constant("entry" as const),
    name,
    isGood: fc.boolean(),
    rttMs: fc.option(fc.nat(20), { nil: undefined }),
    ticket: fc.constantFrom("good", "bad", "short", "silent"),
  }),
  fc.record({ type: fc.constant("gone" as const), name }),
  fc.record({ type: fc.constant("pass" as const), ms: fc.oneof(fc.nat(500), fc.nat(12_000)) }),
);
type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never;

/** A producer's side that checks every effect. Validators answer after a second, or never. */
class World {
  readonly admission: Admission<number>;
  readonly #max: number;
  readonly #entries = new Map<Name, ReturnType<typeof candidate>>();
  readonly #places = new Map<number, { name: Name; isAdmitted: boolean; sinceMs: number }>();
  #later: { readonly atMs: number; readonly run: () => void }[] = [];
  #updates = 1;
  #nextKey = 0;
  #nowMs = 0;

  constructor(max: number) {
    this.#max = max;
    this.admission = new Admission({ rule: { tags: "good", maxRttMs: 10 }, needsTickets: true, maxConsumers: max });
  }

  happen(what: Happening): void {
    const nowMs = this.#nowMs;
    if (what.type === "enter") this.#enter(what.name, what.isKnown);
    else if (what.type === "leave") {
      this.#places.delete(what.key);
      this.admission.leave(what.key, nowMs);
    } else if (what.type === "entry") {
      this.#updates += 1;
      const { isGood, rttMs, ticket } = what;
      const looks = { tags: isGood ? ["good"] : [], tickets: [ticket], updateMs: this.#updates };
      const entry = candidate(what.name, rttMs === undefined ? looks : { ...looks, rttMs });
      this.#entries.set(what.name, entry);
      this.admission.onPeer(entry, nowMs);
    } else if (what.type === "gone") this.admission.onGone(candidate(what.name).peer.id, nowMs);
    else this.#pass(what.ms);
    this.#drive();
  }

  #enter(who: Name, isKnown: boolean): void {
    this.#nextKey += 1;
    const key = this.#nextKey;
    const entry = this.#entries.get(who);
    const judgement = this.admission.enter(key, isKnown ? entry : undefined, this.#nowMs);
    if (judgement.type !== "refuse") {
      this.#places.set(key, { name: who, isAdmitted: judgement.type === "admit", sinceMs: this.#nowMs });
    } else if (!isKnown || entry === undefined) equal(judgement.code, 401);
    else equal(judgement.code === 10509, this.#places.size >= this.#max);
  }

  #pass(ms: number): void {
    const endMs = this.#nowMs + ms;
    const never = Number.POSITIVE_INFINITY;
    for (;;) {
      const atMs = Math.min(this.admission.nextAtMs ?? never, this.#later[0]?.atMs ?? never);
      if (atMs > endMs) break;
      this.#nowMs = atMs;
      if (this.#later[0]?.atMs === atMs) this.#later.shift()?.run();
      this.admission.tick(atMs);
      this.#drive();
    }
    this.#nowMs = endMs;
  }

  #drive(): void {
    for (let effects = this.admission.takeEffects(); effects.length > 0; effects = this.admission.takeEffects()) {
      for (const effect of effects) {
        if (effect.type === "validate") {
          ok(
            [...this.#places.values()].some((place) => place.name === nameOf(effect.id)),
            "validates nobody's tickets",
          );
          this.#judge(effect.candidate);
        } else if (effect.type === "admit") {
          const place = this.#places.get(effect.key);
          equal(place?.isAdmitted, false);
          if (place !== undefined) place.isAdmitted = true;
        } else ok(this.#places.delete(effect.key), "removes nobody");
      }
    }
    this.#check();
  }

  #judge({ peer, version, tickets }: ReturnType<typeof candidate>): void {
    const text = Buffer.from(tickets[0]?.data ?? []).toString();
    if (text === "silent") return;
    this.#later.push({
      atMs: this.#nowMs + 1_000,
      run: () => {
        const validUntilMs = text === "short" ? this.#nowMs + 3_000 : undefined;
        this.admission.onVerdict(peer.id, version, text === "bad" ? "refused" : { validUntilMs }, this.#nowMs);
      },
    });
  }

  #check(): void {
    equal(this.admission.size, this.#places.size);
    ok(this.#places.size <= this.#max);
    const next = this.admission.nextAtMs;
    ok(next === undefined || next > this.#nowMs);
    for (const place of this.#places.values()) {
      const peer = this.#entries.get(place.name)?.peer;
      ok(peer?.tags.has("good") && (peer.rttMs ?? 0) <= 10);
      ok(place.isAdmitted || this.#nowMs < place.sinceMs + 2 * JUDGED_WITHIN_MS, "waits too long");
    }
  }

  /** All leave: nothing is left, and nothing is waited for. */
  end(): void {
    for (const key of this.#places.keys()) this.admission.leave(key, this.#nowMs);
    this.#places.clear();
    this.#drive();
    this.#pass(20_000);
    deepEqual([this.admission.size, this.admission.nextAtMs], [0, undefined]);
  }
}

it("whatever happens, a producer keeps to its places, lets nobody stay whose entry does not fit, and lets nobody wait for long", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }),
      fc.array(happening, { maxLength: 80, size: "max" }),
      (max, happenings) => {
        const world = new World(max);
        for (const one of happenings) world.happen(one);
        world.end();
      },
    ),
    { numRuns: 200 },
  );
});

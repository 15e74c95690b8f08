import assert from "node:assert/strict";
import { test } from "node:test";
import { LIMITS, Scope, VirtualWorld } from "../env/index.ts";
import { DecodeError, type Link } from "../wire/index.ts";
import type { Verdict } from "./gossip.ts";
import { Intake } from "./intake.ts";
import type { RawNews } from "./messages.ts";
import { departureOf, idOf } from "./testing.ts";

const TURN = LIMITS.verificationsPerTurnMax;

/** As far as an intake sees it. */
class FakeLink {
  isPaused = false;
  readonly remoteId;
  constructor(number: number) {
    this.remoteId = idOf(number);
  }
  pause(): void {
    this.isPaused = true;
  }
  resume(): void {
    this.isPaused = false;
  }
}

/** News are told apart by their age. */
const newsOf = (from: number, count: number): RawNews[] =>
  Array.from({ length: count }, (_, number) => ({ type: "departure", ageMs: from + number, departure: DEPARTURE }));
const DEPARTURE = departureOf(1, 10);

class Bench {
  readonly taken: string[] = [];
  readonly violations: string[] = [];
  /** Ages of news that are known already, and of such that make no sense. */
  readonly known = new Set<number>();
  readonly bad = new Set<number>();
  progress = 0;
  readonly intake: Intake;
  readonly #names = new Map<string, string>();
  readonly #world: VirtualWorld;

  constructor(world: VirtualWorld) {
    this.#world = world;
    this.intake = new Intake({
      scope: new Scope(world.env("n1"), (cause) => world.fail(cause)),
      judge: (news): Verdict => (this.known.has(news.ageMs) ? "known" : "news"),
      take: (from, news) => {
        if (this.bad.has(news.ageMs)) throw new DecodeError("no sense");
        this.taken.push(`${this.#names.get(from)}${news.ageMs}`);
      },
      onViolation: (link) => this.violations.push(this.#names.get(link.remoteId) ?? "?"),
      onProgress: () => {
        this.progress += 1;
      },
    });
  }

  link(name: string, number: number): FakeLink {
    const link = new FakeLink(number);
    this.#names.set(link.remoteId, name);
    return link;
  }

  push(link: FakeLink, list: readonly RawNews[]): void {
    assert.equal(link.isPaused, false, "a paused link brings nothing");
    this.intake.push(link as unknown as Link, list);
  }

  turn(): Promise<void> {
    return new Promise((resolve) => this.#world.env("sim").after(LIMITS.verificationTurnMs, resolve));
  }
}

function scene(name: string, body: (bench: Bench) => Promise<void>): void {
  test(name, async () => {
    const world = new VirtualWorld({ seed: 1 });
    await world.run(() => body(new Bench(world)));
  });
}

scene("a few news are taken at once, and hold nobody back", async (bench) => {
  const ada = bench.link("a", 1);
  bench.push(ada, newsOf(0, TURN - 1));
  assert.equal(bench.taken.length, TURN - 1);
  assert.equal(ada.isPaused, false);
  assert.equal(bench.intake.waiting, 0);
});

scene("more than a turn allows wait for the next, in order, and their link waits with them", async (bench) => {
  const ada = bench.link("a", 1);
  bench.push(ada, newsOf(0, 2 * TURN + 1));
  assert.deepEqual([bench.taken.length, ada.isPaused], [TURN, true]);
  await bench.turn();
  assert.deepEqual([bench.taken.length, ada.isPaused], [2 * TURN, true]);
  await bench.turn();
  assert.deepEqual([bench.taken.length, ada.isPaused], [2 * TURN + 1, false]);
  const inOrder = newsOf(0, 2 * TURN + 1).map(({ ageMs }) => `a${ageMs}`);
  assert.deepEqual(bench.taken, inOrder);
  assert.equal(bench.progress, 2);
});

scene("whoever floods delays an honest peer by one signature a round, however much it sends", async (bench) => {
  const mob = Array.from({ length: 5 }, (_, number) => bench.link("m", 10 + number));
  const ada = bench.link("a", 1);
  const flood = (): void => {
    for (const link of mob) if (!link.isPaused) bench.push(link, newsOf(0, 256));
  };
  flood();
  for (let round = 0; round < 20; round++) {
    bench.push(ada, newsOf(round, 1));
    assert.equal(bench.taken.includes(`a${round}`), false, "its turn comes later");
    await bench.turn();
    assert.equal(bench.taken.includes(`a${round}`), true, "in the next turn");
    assert.equal(ada.isPaused, false);
    flood();
  }
  assert.equal(bench.taken.length, 21 * TURN, "no more than so many in a turn");
});

scene("what was heard meanwhile costs nothing, and neither does what is known", async (bench) => {
  const ada = bench.link("a", 1);
  bench.push(ada, newsOf(0, 3 * TURN));
  for (const { ageMs } of newsOf(TURN, 2 * TURN)) bench.known.add(ageMs);
  await bench.turn();
  assert.equal(bench.taken.length, 3 * TURN);
  assert.equal(ada.isPaused, false);
});

scene("looking at what is known is paid for, too: a flood of it rests", async (bench) => {
  const ada = bench.link("a", 1);
  for (const { ageMs } of newsOf(0, 256)) bench.known.add(ageMs);
  let frames = 0;
  while (!ada.isPaused) {
    bench.push(ada, newsOf(0, 256));
    frames += 1;
    assert.ok(frames < 1_000, "it rests");
  }
  await bench.turn();
  assert.equal(ada.isPaused, false);
});

scene("comparing is paid for: a peer that compares without end rests in between", async (bench) => {
  const ada = bench.link("a", 1);
  let comparisons = 0;
  while (!ada.isPaused) {
    bench.intake.answered(ada as unknown as Link, LIMITS.catalogEntriesMax);
    comparisons += 1;
  }
  assert.equal(comparisons, 1);
  await bench.turn();
  assert.equal(ada.isPaused, false);
  let small = 0;
  while (!ada.isPaused) {
    bench.intake.answered(ada as unknown as Link, 1);
    small += 1;
  }
  assert.equal(small, 4 * TURN, "small ones, too");
});

scene("news that make no sense close their link, now or when their turn comes, and only theirs", async (bench) => {
  const [ada, bob] = [bench.link("a", 1), bench.link("b", 2)];
  bench.bad.add(3).add(TURN + 3);
  assert.throws(() => bench.push(bob, newsOf(3, 1)), DecodeError);
  bench.push(ada, newsOf(4, TURN));
  const cyd = bench.link("c", 3);
  bench.push(cyd, newsOf(100, 2));
  await bench.turn();
  assert.deepEqual(bench.violations, ["a"]);
  assert.deepEqual([bench.taken.includes("c100"), bench.taken.includes("c101"), cyd.isPaused], [true, true, false]);
  assert.equal(bench.intake.waiting, 0);
});

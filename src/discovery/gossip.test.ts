import assert from "node:assert/strict";
import { test } from "node:test";
import { Catalog, type Now } from "./catalog.ts";
import { newCounters } from "./counters.ts";
import { Gossip } from "./gossip.ts";
import { LocalEntry } from "./local.ts";
import { identityOf, idOf, NETWORK, signedAt } from "./testing.ts";
import type { SignedEntry } from "./types.ts";

const EXPIRE_MS = 300_000;
const NEIGHBOUR = idOf(1);
const at = (monotonicMs: number): Now => ({ monotonicMs, wallMs: 1_000_000 + monotonicMs });

/** One peer, linked to peer 1. */
class Bench {
  readonly catalog = new Catalog({ network: NETWORK, selfId: idOf(0), expireAfterMs: EXPIRE_MS });
  readonly #gossip = new Gossip({
    catalog: this.catalog,
    local: new LocalEntry({ identity: identityOf(0), network: NETWORK, startMs: 1 }),
    counters: newCounters(),
    isNeighbour: (id) => id === NEIGHBOUR,
  });

  /** Peer 1 opens a link, in place of the one before. */
  link(): void {
    this.#gossip.open(NEIGHBOUR, true);
  }

  /** Peer 1 says so over its link. */
  hear({ bytes, signature }: SignedEntry, now: Now): string {
    const news = { type: "entry", ageMs: 0, bytes, signature } as const;
    const verdict = this.#gossip.judge(news, now);
    this.#gossip.take(NEIGHBOUR, news, verdict, now);
    return verdict;
  }

  sweep(now: Now): readonly string[] {
    return this.#gossip.sweep([NEIGHBOUR], now).map(({ type }) => type);
  }

  ageOf(now: Now): number | undefined {
    return this.#gossip.newsOf(NEIGHBOUR, now)?.ageMs;
  }
}

test("a link keeps the entry of the life at its other end alive", () => {
  const bench = new Bench();
  bench.link();
  bench.hear(signedAt(1, 1_000, 1_000), at(0));
  for (let ms = 0; ms <= 3 * EXPIRE_MS; ms += EXPIRE_MS / 3) assert.deepEqual(bench.sweep(at(ms)), []);
  assert.equal(bench.ageOf(at(3 * EXPIRE_MS + 5)), 0);
});

test("a life that we may not list, its clock being too far ahead, keeps none before it alive", () => {
  const bench = new Bench();
  bench.link();
  assert.equal(bench.hear(signedAt(1, 1_000, 1_000), at(0)), "news");
  bench.link();
  assert.equal(bench.hear(signedAt(1, 9_000_000, 9_000_000), at(10)), "clock-drift");
  assert.equal(bench.ageOf(at(1_010)), 1_010, "others are told how long that life is silent");
  assert.deepEqual(bench.sweep(at(EXPIRE_MS - 1)), []);
  assert.deepEqual(bench.sweep(at(EXPIRE_MS)), ["left"]);
  assert.equal(bench.catalog.size, 0);
});

test("nor does a new link before its peer has said who it is", () => {
  const bench = new Bench();
  bench.link();
  bench.hear(signedAt(1, 1_000, 1_000), at(0));
  bench.link();
  assert.deepEqual(bench.sweep(at(EXPIRE_MS)), ["left"]);
});

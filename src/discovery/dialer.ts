import type { Env, Logger, Scope, Timer } from "../env/index.ts";
import type { PeerId } from "../identity/index.ts";
import { LinkRefused, type PeerAddress } from "../transport/index.ts";
import type { Link } from "../wire/index.ts";
import { backoffMs } from "./backoff.ts";
import { describe } from "./sources.ts";
import type { PeerEntry } from "./types.ts";

const RETRY_MS = { firstMs: 250, maxMs: 30_000 };
/** A neighbour that was lost is looked for more often, since many wait to know whether it is gone. */
const LOST_RETRY_MS = { firstMs: 200, maxMs: 2_000 };
/** The peer with the higher id lets the other one dial first, so that most pairs dial once. */
const COURTESY_MS = 300;
/** New links of a node that has one already are spread out: they are for robustness, not for speed. */
const SPREAD_MS = 250;
/** A peer that misbehaved, or sent us away, is left alone for this long. */
const PENALTY_MS = 30_000;
const FAILURES_MIN = 3;

/** One peer that we want a link to, or wait before we try again. */
interface Plan {
  failures: number;
  isDialling: boolean;
  timer: Timer | undefined;
  /** When its link was lost, for neighbours that we had. */
  lostMs: number | undefined;
}

export interface DialerInit {
  readonly env: Env;
  readonly scope: Scope;
  readonly logger: Logger;
  readonly selfId: PeerId;
  readonly neighboursMax: number;
  /** A lost neighbour that cannot be dialled for this long is out of reach. */
  readonly unreachableAfterMs: number;
  readonly nowMs: () => number;
  readonly entries: () => readonly PeerEntry[];
  readonly entryOf: (id: PeerId) => PeerEntry | undefined;
  readonly isLinked: (id: PeerId) => boolean;
  readonly linkCount: () => number;
  readonly dial: (address: PeerAddress) => Promise<Link>;
  readonly adopt: (link: Link) => void;
  readonly onUnreachable: (id: PeerId) => void;
}

/**
 * Keeps the active view: links to all peers of a small network, to `neighboursMax` random ones of a large one (HyParView, Leitão et
 * al. 2007, with the catalog as passive view). A dial that fails drops no entry; only a neighbour that was lost, and then stays out of
 * reach, is given up.
 */
export class Dialer {
  readonly #init: DialerInit;
  readonly #plans = new Map<PeerId, Plan>();

  constructor(init: DialerInit) {
    this.#init = init;
  }

  /** Plans dials until there are enough links. Cheap when nothing is missing. */
  fill(): void {
    const { neighboursMax, linkCount, entries, isLinked, env } = this.#init;
    const others = entries();
    const target = Math.min(neighboursMax, others.length);
    let missing = target - linkCount() - this.#activePlans();
    if (missing <= 0) return;
    const candidates = others.map((entry) => entry.id).filter((id) => !isLinked(id) && !this.#plans.has(id));
    while (missing > 0 && candidates.length > 0) {
      const chosen = candidates.length <= missing ? 0 : env.random.below(candidates.length);
      const [id] = candidates.splice(chosen, 1);
      if (id !== undefined) this.#schedule(id, this.#newPlan(id), this.#firstDelayMs(id));
      missing -= 1;
    }
  }

  /** Its link broke and nobody meant it to. */
  onLost(id: PeerId): void {
    const plan = this.#plans.get(id) ?? this.#newPlan(id);
    plan.lostMs = this.#init.nowMs();
    plan.failures = 0;
    this.#schedule(id, plan, this.#init.env.random.below(50) + (this.#init.selfId < id ? 0 : 50));
  }

  /** It was sent away or sent us away: not soon again. */
  onParted(id: PeerId): void {
    const plan = this.#plans.get(id) ?? this.#newPlan(id);
    plan.lostMs = undefined;
    plan.failures = 1;
    this.#schedule(id, plan, PENALTY_MS);
  }

  /** Something newer was heard of it: whoever says that it is gone must begin anew. */
  onNews(id: PeerId): void {
    const plan = this.#plans.get(id);
    if (plan?.lostMs === undefined) return;
    plan.lostMs = this.#init.nowMs();
    plan.failures = 0;
  }

  /** Linked, or no longer listed: nothing to plan. */
  forget(id: PeerId): void {
    this.#plans.get(id)?.timer?.cancel();
    this.#plans.delete(id);
  }

  inspect(): readonly object[] {
    return [...this.#plans]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([peer, plan]) => ({
        peer,
        failures: plan.failures,
        isDialling: plan.isDialling,
        isLost: plan.lostMs !== undefined,
      }));
  }

  /** Those that may soon become links. Failing ones do not keep others from being tried. */
  #activePlans(): number {
    let count = 0;
    for (const plan of this.#plans.values()) if (plan.failures === 0) count += 1;
    return count;
  }

  #newPlan(id: PeerId): Plan {
    const plan: Plan = { failures: 0, isDialling: false, timer: undefined, lostMs: undefined };
    this.#plans.set(id, plan);
    return plan;
  }

  #firstDelayMs(id: PeerId): number {
    const { selfId, env, linkCount } = this.#init;
    const courtesyMs = selfId < id ? 0 : COURTESY_MS;
    return linkCount() === 0 ? courtesyMs / 3 : courtesyMs + SPREAD_MS + env.random.below(SPREAD_MS);
  }

  #schedule(id: PeerId, plan: Plan, delayMs: number): void {
    plan.timer?.cancel();
    plan.timer = this.#init.scope.after(delayMs, () => {
      plan.timer = undefined;
      this.#onTime(id, plan);
    });
  }

  #onTime(id: PeerId, plan: Plan): void {
    const { entryOf, isLinked, linkCount, neighboursMax } = this.#init;
    const entry = entryOf(id);
    const isEnough = plan.lostMs === undefined && linkCount() >= neighboursMax;
    if (entry === undefined || isLinked(id) || isEnough || entry.addresses.length === 0) {
      this.#plans.delete(id);
      return;
    }
    if (!plan.isDialling) this.#dial(entry, plan);
  }

  #dial(entry: PeerEntry, plan: Plan): void {
    const { dial, adopt, scope } = this.#init;
    plan.isDialling = true;
    scope.spawn(() =>
      dial({ id: entry.id, addresses: entry.addresses }).then(
        (link) => {
          this.forget(entry.id);
          adopt(link);
        },
        (cause: unknown) => {
          plan.isDialling = false;
          if (!scope.isClosed && this.#plans.get(entry.id) === plan) this.#failed(entry.id, plan, cause);
        },
      ),
    );
  }

  #failed(id: PeerId, plan: Plan, cause: unknown): void {
    const { env, logger, nowMs, unreachableAfterMs, onUnreachable } = this.#init;
    logger.debug({ peer: id, problem: describe(cause) }, "peer cannot be reached");
    plan.failures += 1;
    // Whoever refuses us is alive.
    if (cause instanceof LinkRefused) plan.lostMs = undefined;
    const isGone =
      plan.lostMs !== undefined && plan.failures >= FAILURES_MIN && nowMs() - plan.lostMs >= unreachableAfterMs;
    if (isGone) {
      this.forget(id);
      onUnreachable(id);
      return;
    }
    const bounds = plan.lostMs === undefined ? RETRY_MS : LOST_RETRY_MS;
    this.#schedule(id, plan, backoffMs(env.random, plan.failures, bounds));
  }
}

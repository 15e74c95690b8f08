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
/**
 * New links of a node that has one already are for robustness, not for speed. So they wait until no peer has joined for a while, lest
 * handshakes compete with the news of a network that forms, and are spread out.
 */
const QUIET_MS = 300;
const QUIET_WAIT_MS_MAX = 5_000;
const SPREAD_MS = 500;
/** Links that are planned at a time. */
const PLANS_MAX = 3;
/** A peer that misbehaved, or sent us away, is left alone for this long. */
const PENALTY_MS = 30_000;
const FAILURES_MIN = 3;
const SUSPECT_AFTER_MS = 1_000;
/** In a larger network a peer that only one link has lost would be dialled by all at once; there the dead expire. */
const SUSPECTED_PEERS_MAX = 64;

/** One peer that we want a link to, or wait before we try again. */
interface Plan {
  failures: number;
  isDialling: boolean;
  timer: Timer | undefined;
  /** Since when it is looked for: its link was lost, or a neighbour says that its was. */
  lostMs: number | undefined;
  /** For how long it must stay out of reach. */
  patienceMs: number;
  hasTold: boolean;
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
  /** Several dials failed already: others should look for it, too. */
  readonly onSuspect: (id: PeerId) => void;
  readonly onUnreachable: (id: PeerId) => void;
}

/**
 * Keeps the active view: links to all peers of a small network, to `neighboursMax` random ones of a large one (HyParView, Leitão et
 * al. 2007, with the catalog as passive view). A dial that fails drops no entry; only a neighbour that was lost, and then stays out of
 * reach, is given up: at once where it was lost, and where a neighbour's hint was found to be true.
 */
export class Dialer {
  readonly #init: DialerInit;
  readonly #plans = new Map<PeerId, Plan>();
  #joinedMs = Number.NEGATIVE_INFINITY;
  /** Since when links are missing; undefined: none is. */
  #missingMs: number | undefined;
  #isWaitingForQuiet = false;

  constructor(init: DialerInit) {
    this.#init = init;
  }

  /** Plans dials until there are enough links. Cheap when nothing is missing. */
  fill(): void {
    const { neighboursMax, linkCount, entries, isLinked, env } = this.#init;
    const others = entries();
    const target = Math.min(neighboursMax, others.length);
    const planned = this.#activePlans();
    let missing = Math.min(target - linkCount() - planned, PLANS_MAX - planned);
    if (missing <= 0) this.#missingMs = undefined;
    if (missing <= 0 || this.#awaitsQuiet()) return;
    const candidates = others.map((entry) => entry.id).filter((id) => !isLinked(id) && !this.#plans.has(id));
    while (missing > 0 && candidates.length > 0) {
      const chosen = candidates.length <= missing ? 0 : env.random.below(candidates.length);
      const [id] = candidates.splice(chosen, 1);
      if (id !== undefined) this.#schedule(id, this.#newPlan(id), this.#firstDelayMs(id));
      missing -= 1;
    }
  }

  /** The network is still forming. */
  onJoined(): void {
    this.#joinedMs = this.#init.nowMs();
  }

  /** Its link broke and nobody meant it to. */
  onLost(id: PeerId): void {
    const plan = this.#plans.get(id) ?? this.#newPlan(id);
    plan.lostMs = this.#init.nowMs();
    plan.patienceMs = this.#init.unreachableAfterMs;
    plan.failures = 0;
    this.#schedule(id, plan, this.#init.env.random.below(50) + (this.#init.selfId < id ? 0 : 50));
  }

  /** A neighbour cannot reach it any more. We look for ourselves, and believe nobody. */
  onSuspected(id: PeerId): void {
    const { entries, env } = this.#init;
    const plan = this.#plans.get(id) ?? this.#newPlan(id);
    if (plan.lostMs !== undefined || entries().length > SUSPECTED_PEERS_MAX) return;
    plan.lostMs = this.#init.nowMs();
    // Two have failed to reach it, then.
    plan.patienceMs = Math.ceil(this.#init.unreachableAfterMs / 2);
    plan.failures = 0;
    this.#schedule(id, plan, env.random.below(LOST_RETRY_MS.firstMs));
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
    plan.hasTold = false;
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

  #awaitsQuiet(): boolean {
    const { linkCount, nowMs, scope } = this.#init;
    const now = nowMs();
    this.#missingMs ??= now;
    const isQuiet = now - this.#joinedMs >= QUIET_MS || now - this.#missingMs >= QUIET_WAIT_MS_MAX;
    if (isQuiet || linkCount() === 0) return false;
    if (!this.#isWaitingForQuiet) {
      this.#isWaitingForQuiet = true;
      scope.after(QUIET_MS, () => {
        this.#isWaitingForQuiet = false;
        this.fill();
      });
    }
    return true;
  }

  #newPlan(id: PeerId): Plan {
    const plan: Plan = {
      failures: 0,
      isDialling: false,
      timer: undefined,
      lostMs: undefined,
      patienceMs: 0,
      hasTold: false,
    };
    this.#plans.set(id, plan);
    return plan;
  }

  #firstDelayMs(id: PeerId): number {
    const { selfId, env, linkCount } = this.#init;
    const courtesyMs = selfId < id ? 0 : COURTESY_MS;
    return linkCount() === 0 ? courtesyMs / 3 : courtesyMs + env.random.below(SPREAD_MS);
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
    const { env, logger, nowMs, onSuspect, onUnreachable } = this.#init;
    logger.debug({ peer: id, problem: describe(cause) }, "peer cannot be reached");
    plan.failures += 1;
    // Whoever refuses us is alive.
    if (cause instanceof LinkRefused) plan.lostMs = undefined;
    const lostForMs = plan.lostMs === undefined || plan.failures < FAILURES_MIN ? -1 : nowMs() - plan.lostMs;
    if (lostForMs >= SUSPECT_AFTER_MS && !plan.hasTold) {
      plan.hasTold = true;
      onSuspect(id);
    }
    if (lostForMs >= plan.patienceMs) {
      this.forget(id);
      onUnreachable(id);
      return;
    }
    const bounds = plan.lostMs === undefined ? RETRY_MS : LOST_RETRY_MS;
    this.#schedule(id, plan, backoffMs(env.random, plan.failures, bounds));
  }
}

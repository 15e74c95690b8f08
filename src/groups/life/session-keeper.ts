import type { PeerId } from "../../identity/index.ts";
import type { SessionIndex, SessionRecord } from "../sessions/index.ts";

export interface SessionView {
  /** By opening. */
  readonly open: ReadonlyMap<SessionIndex, Readonly<Pick<SessionRecord, "owner">>>;
  /** The owner is bonded with us, or is ourselves. */
  isInSight(owner: PeerId): boolean;
}

/**
 * A leader's care for sessions: which are to end. It decides nothing by itself; an entry does, so that all replicas agree.
 *
 * 1. A session whose owner was away for `ttlTicks` ends. Time counts in ticks of a leader with a quorum, from its election on.
 * 2. A peer has one session: the opening of another means that the process which had the one before is gone.
 * 3. Where there is no room for another one, that whose owner is away longest ends.
 *
 * It is always safe to end a session: its owner reads which of its commands were applied, and sends the others in a new one.
 */
export class SessionKeeper {
  readonly #ttlTicks: number;
  readonly #lookTicks: number;
  readonly #awayTicks = new Map<SessionIndex, number>();
  #untilLook: number;

  constructor(timing: { readonly ttlTicks: number; readonly lookTicks: number }) {
    this.#ttlTicks = timing.ttlTicks;
    this.#lookTicks = timing.lookTicks;
    this.#untilLook = timing.lookTicks;
  }

  /** Counts a tick, and now and then gives the sessions that are to end. */
  tick(view: SessionView): SessionIndex[] {
    if (--this.#untilLook > 0) return [];
    this.#untilLook = this.#lookTicks;
    const latest = new Map<PeerId, SessionIndex>();
    for (const [session, { owner }] of view.open) latest.set(owner, session);
    const ended: SessionIndex[] = [];
    for (const [session, { owner }] of view.open) {
      const awayTicks = view.isInSight(owner) ? 0 : (this.#awayTicks.get(session) ?? 0) + this.#lookTicks;
      if (awayTicks > 0) this.#awayTicks.set(session, awayTicks);
      else this.#awayTicks.delete(session);
      if (latest.get(owner) !== session || awayTicks >= this.#ttlTicks) ended.push(session);
    }
    for (const session of [...this.#awayTicks.keys()]) if (!view.open.has(session)) this.#awayTicks.delete(session);
    return ended;
  }

  /** The session that is away longest, the oldest of several; undefined while all owners are in sight. `isEnding` ones do not count. */
  oldest(view: SessionView, isEnding: (session: SessionIndex) => boolean): SessionIndex | undefined {
    let found: SessionIndex | undefined;
    let most = -1;
    for (const [session, { owner }] of view.open) {
      const awayTicks = this.#awayTicks.get(session) ?? 0;
      if (awayTicks <= most || view.isInSight(owner) || isEnding(session)) continue;
      found = session;
      most = awayTicks;
    }
    return found;
  }
}

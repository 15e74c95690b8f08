import { LIMITS, type Scope } from "../env/index.ts";
import type { PeerId } from "../identity/index.ts";
import { DecodeError, type Link } from "../wire/index.ts";
import type { Verdict } from "./gossip.ts";
import type { RawNews } from "./messages.ts";

/** In verifications: what it costs to look at an entry that we have already, to answer a frame, and to compare one id for it. */
const LOOK_COST = 1 / 32;
const ANSWER_COST = 1 / 4;
const COMPARE_COST = 1 / 256;

export interface IntakeInit {
  readonly scope: Scope;
  /** Asked when its turn comes: what was heard meanwhile costs nothing any more. @throws DecodeError */
  readonly judge: (news: RawNews) => Verdict;
  /** Verifies what is `news`, or about ourselves. @throws DecodeError */
  readonly take: (from: PeerId, news: RawNews, verdict: Verdict) => void;
  /** News that had to wait make no sense. */
  readonly onViolation: (link: Link, cause: DecodeError) => void;
  /** Some that had to wait were taken. */
  readonly onProgress: () => void;
}

/** News of one frame, and how many of them were taken. */
interface Waiting {
  readonly list: readonly RawNews[];
  next: number;
}

/**
 * News on their way into the catalog. To verify a signature takes a tenth of a millisecond or more, so a frame of them would stop the
 * process for as long as a heartbeat takes, and a member can send such frames without end. Therefore
 *
 * 1. a few signatures are verified in one turn, whoever sent them, and turns keep a distance: the rest of the process has its time;
 * 2. a link whose news wait is paused: at most one frame of each waits here, and all of it is taken in the order in which it came;
 * 3. links that wait are served in a ring, one signature each, so that a flood on one of them delays the others by one signature a round.
 *
 * Nobody is sent away for having much to say: honest neighbours pass a flood on, and would be cut off in place of its source.
 */
export class Intake {
  readonly #init: IntakeInit;
  /** The first one is next. */
  readonly #waiting = new Map<Link, Waiting>();
  /** In verifications. */
  #left: number = LIMITS.verificationsPerTurnMax;
  #isTurnDue = false;

  constructor(init: IntakeInit) {
    this.#init = init;
  }

  /** Links that are held back. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Takes what this turn allows. @throws DecodeError */
  push(link: Link, list: readonly RawNews[]): void {
    const news: Waiting = { list, next: 0 };
    while (news.next < list.length && this.#takeNext(link, news));
    if (news.next < list.length || this.#left <= 0) this.#wait(link, news);
  }

  /** A frame was answered for this link. @param ids - that were compared for it */
  answered(link: Link, ids: number): void {
    this.#spend(ANSWER_COST + ids * COMPARE_COST);
    if (this.#left <= 0) this.#wait(link, { list: [], next: 0 });
  }

  /** False: that needs another turn. */
  #takeNext(link: Link, news: Waiting): boolean {
    const item = news.list[news.next];
    if (item === undefined || this.#left <= 0) return false;
    const verdict = this.#init.judge(item);
    this.#spend(verdict === "news" || verdict === "self" ? 1 : LOOK_COST);
    news.next += 1;
    this.#init.take(link.remoteId, item, verdict);
    return true;
  }

  #spend(cost: number): void {
    this.#left -= cost;
    if (this.#isTurnDue) return;
    this.#isTurnDue = true;
    this.#init.scope.after(LIMITS.verificationTurnMs, () => this.#onTurn());
  }

  #wait(link: Link, news: Waiting): void {
    link.pause();
    this.#waiting.set(link, news);
  }

  #onTurn(): void {
    this.#isTurnDue = false;
    this.#left = LIMITS.verificationsPerTurnMax;
    if (this.#waiting.size === 0) return;
    for (const [link, news] of this.#waiting) {
      if (this.#left <= 0) break;
      this.#waiting.delete(link);
      this.#serve(link, news);
    }
    this.#init.onProgress();
  }

  /** One signature; what is left goes to the end of the ring, which this turn may reach again. */
  #serve(link: Link, news: Waiting): void {
    const floor = this.#left - 1;
    try {
      while (this.#left > floor && this.#takeNext(link, news));
    } catch (cause) {
      if (!(cause instanceof DecodeError)) throw cause;
      this.#init.onViolation(link, cause);
      return;
    }
    if (news.next < news.list.length) this.#waiting.set(link, news);
    else link.resume();
  }
}

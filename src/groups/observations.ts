import { LIMITS, type Logger, SubscriptionQueue } from "../env/index.ts";
import { type PeerId, UniqueId } from "../identity/index.ts";
import type { IncarnationId, SetAside, Storage } from "../storage/index.ts";
import type { Bond, MemberStatus } from "./bonds/index.ts";
import { isSucceeded } from "./founding/index.ts";
import type { Life } from "./life/index.ts";
import type { AppliedCommand } from "./replica/index.ts";

/** More rivals are not told apart. */
const RIVALS_MAX = 16;

/** Entries were left out (a slow reader, a new copy of the state): query anew. */
export type Reset = Readonly<{ type: "reset"; position: number }>;

export type Watch = SubscriptionQueue<AppliedCommand | Reset>;

interface ObservedView {
  readonly status: MemberStatus;
  readonly life: Life | undefined;
  readonly bonds: readonly Bond[];
}

/** What a member saw, for those who watch it: counters, rivals, applied commands. */
export class Observations {
  readonly counters = { elections: 0, leaderChanges: 0 };
  readonly #reported = new Set<IncarnationId>();
  /** The damaged store that ours was drawn for. */
  predecessor: SetAside | undefined;
  readonly #watchers = new Set<Watch>();
  readonly #logger: Logger;
  readonly #name: string;
  readonly #view: () => ObservedView;
  #role: string | undefined;
  #leader: PeerId | undefined;

  constructor(logger: Logger, name: string, view: () => ObservedView) {
    this.#logger = logger;
    this.#name = name;
    this.#view = view;
  }

  get isWatched(): boolean {
    return this.#watchers.size > 0;
  }

  /** After each step. */
  update(life: Life | undefined): void {
    const role = life?.driver.raft.role;
    if (role === "candidate" && this.#role !== "candidate") this.counters.elections++;
    this.#role = role;
    const leader = life?.leader;
    if (leader !== undefined && leader !== this.#leader) this.counters.leaderChanges++;
    this.#leader = leader ?? this.#leader;
  }

  /** A store was opened. */
  noteStore({ predecessor }: Storage): void {
    if (predecessor === undefined) return;
    this.predecessor = predecessor;
    const { path, reason } = predecessor;
    this.#logger.warn(
      { group: this.#name, path, reason },
      "the group's store was damaged and is set aside; this member is a new one, without the vote of the former",
    );
  }

  /**
   * Open incarnations of this group that are not ours, while a member of theirs is in sight. They never merge: the operator decides. Who is about
   * to start over in what was begun from its own log is no rival of it.
   */
  get rivals(): readonly IncarnationId[] {
    const { life, bonds, status: own } = this.#view();
    if (life?.replica.isOpen !== true) return [];
    const isRival = ({ status }: Bond): boolean =>
      status.isOpen && !isSucceeded(status, own) && !isSucceeded(own, status);
    const incarnations = bonds.filter(isRival).map(({ status }) => status.incarnation);
    const rivals = new Set(incarnations.filter((one) => one !== undefined && one !== life.incarnation));
    return ([...rivals] as IncarnationId[]).sort().slice(0, RIVALS_MAX);
  }

  /** Once each, however often it comes and goes. */
  reportRivals(): void {
    const rivals = this.rivals.filter((rival) => !this.#reported.has(rival));
    for (const theirs of rivals.slice(0, RIVALS_MAX - this.#reported.size)) {
      this.#reported.add(theirs);
      const { life, bonds } = this.#view();
      const peers = bonds.filter(({ status }) => status.incarnation === theirs).map(({ peer }) => UniqueId.short(peer));
      this.#logger.error(
        { group: this.#name, ours: life?.incarnation, theirs, peers: peers.slice(0, RIVALS_MAX) },
        "rival-incarnation: this group exists twice, and both serve; set one aside with `discard`",
      );
    }
  }

  /** @param onEnd - called once, when it ended for whatever reason */
  watch(signal: AbortSignal | undefined, onEnd: (watch: Watch) => void): Watch {
    const queue: Watch = new SubscriptionQueue<AppliedCommand | Reset>({
      itemsMax: LIMITS.subscriptionItemsMax,
      reset: ({ position }) => ({ type: "reset", position }),
      signal,
      onEnd: (ended) => {
        this.#watchers.delete(ended);
        onEnd(ended);
      },
    });
    if (!queue.isEnded) this.#watchers.add(queue);
    return queue;
  }

  tell(item: AppliedCommand | Reset): void {
    for (const watcher of [...this.#watchers]) watcher.push(item);
  }

  close(): void {
    for (const watcher of [...this.#watchers]) watcher.end();
  }
}

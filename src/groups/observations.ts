import { LIMITS, type Logger, type Subscription, SubscriptionQueue } from "../env/index.ts";
import { type PeerId, UniqueId } from "../identity/index.ts";
import type { IncarnationId, SetAside, Storage } from "../storage/index.ts";
import type { Bond } from "./bond.ts";
import type { Life } from "./life.ts";
import type { AppliedCommand } from "./replica.ts";

/** More rivals are not told apart. */
const RIVALS_MAX = 16;

/** Entries were left out (a slow reader, a new copy of the state): query anew. */
export type Reset = Readonly<{ type: "reset"; position: number }>;

/** What a member saw, for those who watch it: counters, rivals, applied commands. */
export class Observations {
  readonly counters = { elections: 0, leaderChanges: 0 };
  /** Open incarnations of this group that are not ours. They never merge: the operator decides. */
  readonly rivals = new Set<IncarnationId>();
  /** The damaged store that ours was drawn for. */
  predecessor: SetAside | undefined;
  readonly #watchers = new Set<SubscriptionQueue<AppliedCommand | Reset>>();
  readonly #logger: Logger;
  readonly #name: string;
  #role: string | undefined;
  #leader: PeerId | undefined;

  constructor(logger: Logger, name: string) {
    this.#logger = logger;
    this.#name = name;
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

  noteRival(life: Life | undefined, { peer, status }: Bond): void {
    if (life?.replica.isOpen !== true || !status.isOpen || status.incarnation === undefined) return;
    if (status.incarnation === life.incarnation || this.rivals.has(status.incarnation)) return;
    if (this.rivals.size >= RIVALS_MAX) return;
    this.rivals.add(status.incarnation);
    const fields = {
      group: this.#name,
      ours: life.incarnation,
      theirs: status.incarnation,
      peer: UniqueId.short(peer),
    };
    this.#logger.error(
      fields,
      "rival-incarnation: this group exists twice, and both serve; set one aside with `discard`",
    );
  }

  watch(position: number, signal: AbortSignal | undefined): Subscription<AppliedCommand | Reset> {
    const queue: SubscriptionQueue<AppliedCommand | Reset> = new SubscriptionQueue<AppliedCommand | Reset>({
      itemsMax: LIMITS.subscriptionItemsMax,
      reset: { type: "reset", position },
      signal,
      onEnd: () => this.#watchers.delete(queue),
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

import {
  badOption,
  type GroupState,
  type MosaikError,
  mosaikError,
  type Options,
  orAborted,
  type Receipt,
  type Subscription,
  type Wait,
} from "../env/index.ts";
import type { PeerId, UniqueId } from "../identity/index.ts";
import { Calls } from "./calls.ts";
import { peerOf } from "./entries/index.ts";
import type { MemberOptions } from "./life/index.ts";
import type {
  AnyMachine,
  Applied,
  CommandOf,
  CommandResult,
  CommandResults,
  Positioned,
  QueryOf,
  QueryResult,
} from "./machine/index.ts";
import type { Member as Driver } from "./member.ts";
import type { Reset, Watch } from "./observations.ts";
import type { Consistency, Deadline, Group, GroupWhen, Member, RecoverOptions } from "./types.ts";

/** One of the handles that a node has of its member. The member closes with the last. */
export class GroupHandle<M extends AnyMachine> implements Group<M> {
  readonly id: UniqueId;
  readonly name: string;
  readonly closed: Promise<MosaikError | undefined>;
  readonly when: GroupWhen;
  readonly #driver: Driver;
  readonly #calls: Calls;
  readonly #timeoutMs: number;
  readonly #selfId: PeerId;
  readonly #release: () => Promise<void>;
  readonly #ended = new AbortController();
  readonly #watches = new Set<Watch>();
  #resolveClosed: (cause: MosaikError | undefined) => void = () => {};
  #closing: Promise<void> | undefined;

  constructor(driver: Driver, options: MemberOptions, timeoutMs: number, release: () => Promise<void>) {
    this.#driver = driver;
    this.#release = release;
    this.#timeoutMs = timeoutMs;
    this.#selfId = options.selfId;
    this.id = options.groupId;
    this.name = options.name;
    const { env, runtime, selfId } = options;
    this.#calls = new Calls({ env, member: driver, runtime, timeoutMs, selfId, assertOpen: () => this.#assertOpen() });
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    void driver.ending.closed.then((cause) => this.#resolveClosed(cause));
    this.when = this.#conditions();
  }

  get state(): GroupState {
    return this.#closing === undefined ? this.#driver.state : "closed";
  }
  get leader(): PeerId | undefined {
    return this.#driver.leader;
  }
  get isLeader(): boolean {
    return this.#closing === undefined && this.#driver.isLeader;
  }
  get position(): number {
    return this.#driver.position;
  }
  get term(): number {
    return this.#driver.term;
  }

  get members(): readonly Member[] {
    const members = new Map<PeerId, Member>();
    for (const voter of this.#driver.life?.voters ?? []) {
      const bond = this.#driver.bonds.get(peerOf(voter));
      members.set(peerOf(voter), {
        id: peerOf(voter),
        role: "voter",
        isConnected: bond !== undefined,
        position: bond?.status.position,
      });
    }
    for (const { peer, status } of this.#driver.bonds.all) {
      if (members.has(peer)) continue;
      const role = status.isEligible ? "learner" : "observer";
      members.set(peer, { id: peer, role, isConnected: true, position: status.position });
    }
    const role = members.get(this.#selfId)?.role ?? (this.#driver.status().isEligible ? "learner" : "observer");
    members.set(this.#selfId, { id: this.#selfId, role, isConnected: true, position: this.position });
    return [...members.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  execute<const X extends CommandOf<M>>(command: X, options: Deadline = {}): Promise<Positioned<CommandResult<M, X>>> {
    return this.#calls.execute(command, options) as Promise<Positioned<CommandResult<M, X>>>;
  }

  executeMany<const X extends readonly CommandOf<M>[]>(
    commands: X,
    options: Deadline = {},
  ): Promise<Positioned<CommandResults<M, X>>> {
    return this.#calls.executeMany(commands, options) as Promise<Positioned<CommandResults<M, X>>>;
  }

  feed(command: CommandOf<M>, options: Deadline = {}): Promise<Positioned<void>> {
    return this.#calls.feed([command], options);
  }

  feedMany(commands: readonly CommandOf<M>[], options: Deadline = {}): Promise<Positioned<void>> {
    return this.#calls.feed(commands, options);
  }

  query<const X extends QueryOf<M>>(
    query: X,
    options: Deadline & Options<{ consistency: Consistency }> = {},
  ): Promise<Positioned<QueryResult<M, X>>> {
    return this.#calls.query(query, options) as Promise<Positioned<QueryResult<M, X>>>;
  }

  outcomeOf(receipt: Receipt, options: Deadline = {}): Promise<Positioned<unknown> | undefined> {
    return this.#calls.outcomeOf(receipt, options);
  }

  watch({ signal }: Wait = {}): Subscription<Applied<M> | Reset> {
    this.#assertOpen();
    const watch = this.#driver.observations.watch(signal, (ended) => this.#watches.delete(ended));
    if (!watch.isEnded) this.#watches.add(watch);
    return watch as Subscription<Applied<M> | Reset>;
  }

  async transferLeadership(to?: PeerId, { signal }: Wait = {}): Promise<void> {
    this.#assertOpen();
    signal?.throwIfAborted();
    await this.#driver.departure.transfer(to, this.#timeoutMs, this.#whileOpen(signal));
  }

  async leave({ signal }: Wait = {}): Promise<void> {
    this.#assertOpen();
    signal?.throwIfAborted();
    await this.#driver.ending.leave(this.#timeoutMs, signal);
    await this.close();
  }

  async recover({ acceptDataLoss, force, signal }: RecoverOptions): Promise<void> {
    this.#assertOpen();
    if (acceptDataLoss !== true)
      throw badOption("acceptDataLoss", "must be true: what lost members alone held is gone");
    signal?.throwIfAborted();
    await this.#driver.founder.recovery.run(force === true, this.#timeoutMs, this.#whileOpen(signal));
  }

  async *export({ signal }: Wait = {}): AsyncGenerator<Uint8Array, void, void> {
    this.#assertOpen();
    signal?.throwIfAborted();
    yield* this.#driver.export(this.#whileOpen(signal));
  }

  async whileLeader(
    work: (leadership: { readonly term: number; readonly signal: AbortSignal }) => void | Promise<void>,
    options: Wait = {},
  ): Promise<void> {
    for (;;) {
      const term = await this.#until(() => this.#leadingTerm(), options.signal).catch(endOfGroup);
      if (term === undefined) return;
      await this.#lead(term, work, options.signal);
      const isOver = await this.#until(() => (this.#leadingTerm() === term ? undefined : true), options.signal).catch(
        endOfGroup,
      );
      if (isOver === undefined) return;
    }
  }

  close({ signal }: Wait = {}): Promise<void> {
    if (this.#closing === undefined) {
      this.#closing = this.#release().then(() => this.#resolveClosed(undefined));
      // What waits on this handle ends, even if others keep the member.
      this.#ended.abort(mosaikError("closed", "this handle is closed"));
      for (const watch of [...this.#watches]) watch.end();
      this.#driver.conditions.notify();
    }
    return orAborted(this.#closing, signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #whileOpen(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.#ended.signal : AbortSignal.any([signal, this.#ended.signal]);
  }

  #leadingTerm(): number | undefined {
    return this.isLeader ? this.term : undefined;
  }

  async #lead(
    term: number,
    work: (leadership: { readonly term: number; readonly signal: AbortSignal }) => void | Promise<void>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const lost = new AbortController();
    const ended = new AbortController();
    const watch = this.#until(() => (this.#leadingTerm() === term ? undefined : true), ended.signal).then(
      () => lost.abort(mosaikError("closed", "this node no longer leads")),
      (cause: unknown) => lost.abort(cause),
    );
    try {
      await work({ term, signal: signal === undefined ? lost.signal : AbortSignal.any([signal, lost.signal]) });
    } catch (error) {
      if (lost.signal.aborted || signal?.aborted === true) return;
      await this.#driver.ending.handOver();
      throw error;
    } finally {
      ended.abort();
      await watch;
    }
  }

  async #until<T>(probe: () => T | undefined, signal?: AbortSignal): Promise<T> {
    const found = await this.#driver.conditions.until(() => {
      if (this.#closing !== undefined) return { type: "closed" } as const;
      const value = probe();
      return value === undefined ? undefined : ({ type: "value", value } as const);
    }, signal);
    if (found.type === "value") return found.value;
    throw mosaikError("closed", "this handle is closed");
  }

  #conditions(): GroupWhen {
    const driver = this.#driver;
    const whether = (probe: () => boolean) => (options?: Wait) =>
      this.#until(() => (probe() ? true : undefined), options?.signal).then(() => undefined);
    return {
      online: whether(() => driver.state === "online"),
      offline: whether(() => driver.state !== "online"),
      noQuorum: whether(() => driver.state === "no-quorum"),
      isLeader: whether(() => driver.isLeader),
      isFollower: whether(() => driver.leader !== this.#selfId),
      leaderElected: (options) => this.#until(() => driver.leader, options?.signal),
      leaderChanged: (options) => {
        const before = driver.leader;
        return this.#until(() => (driver.leader === before ? undefined : driver.leader), options?.signal);
      },
      leaderIs: (peer, options) => whether(() => driver.leader === peer)(options),
      rival: (options) => this.#until(() => driver.observations.rivals[0], options?.signal),
      reaches: (position, options) => whether(() => driver.position >= position)(options),
    };
  }

  #assertOpen(): void {
    if (this.#closing === undefined) return;
    throw mosaikError("closed", "this handle is closed", { outcome: "not-applied" });
  }
}

/** The group's end ends a wait for leadership without an error; an abort stays one. */
function endOfGroup(error: unknown): undefined {
  if ((error as { code?: unknown } | null)?.code === "closed") return undefined;
  throw error;
}

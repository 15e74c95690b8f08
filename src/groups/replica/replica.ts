import { type MosaikError, mosaikError } from "../../env/index.ts";
import type { UniqueId } from "../../identity/index.ts";
import { ENTRY_NOOP, type Entry, type Index, type MemberId, type SnapshotMark } from "../../raft/index.ts";
import type { IncarnationId } from "../../storage/index.ts";
import { ByteReader } from "../../wire/index.ts";
import {
  type CommandBatch,
  decodeConfiguration,
  decodeGenesis,
  decodeRun,
  decodeSession,
  decodeSessionEnd,
  decodeVersion,
  ENTRY_COMMANDS,
  ENTRY_CONFIGURATION,
  ENTRY_GENESIS,
  ENTRY_OPEN,
  ENTRY_SESSION,
  ENTRY_SESSION_END,
  ENTRY_VERSION,
  LOG_FORMAT,
  readCommands,
  type Support,
} from "../entries/index.ts";
import type {
  ApplyContext,
  CommandOutcome,
  DecodedCommand,
  MachineInstance,
  MachineRuntime,
} from "../machine/index.ts";
import { type SessionIndex, SessionTable } from "../sessions/index.ts";
import { randomOf } from "./apply-random.ts";
import { encodeSnapshot, ORIGINS_MAX, type Origin, type ReplicaState } from "./snapshot-format.ts";

/** What one entry did, told to whoever waits for it on this node. */
export interface AppliedBatch {
  readonly session: SessionIndex;
  readonly number: number;
  /** Of the batch's last command. */
  readonly position: number;
  /** One for each command. */
  readonly outcomes: readonly CommandOutcome[];
}

/** The machine threw something that is no `Rejection`. The replica is halted: it answers nothing more. */
export interface MachineFailure {
  readonly position: number;
  readonly command: string;
  readonly cause: unknown;
}

/** What callers are told from then on. */
export function machineFailed(
  { position, command, cause }: MachineFailure,
  outcome: "unknown" | "not-applied",
): MosaikError {
  return mosaikError(
    "machine-failed",
    `command \`${command}\` threw at position ${position}; this member's machine is halted`,
    { outcome, details: { position, command }, cause },
  );
}

/** One command that this replica applied, for those who watch. Rejected ones are left out: they changed nothing. */
export interface AppliedCommand {
  readonly type: "applied";
  readonly position: number;
  readonly timeMs: number;
  readonly name: string;
  readonly input: unknown;
  readonly result: unknown;
}

export interface ReplicaEvents {
  onBatch(batch: AppliedBatch): void;
  /** `onCommand` is wanted. */
  isWatched?(): boolean;
  onCommand?(command: AppliedCommand): void;
  onSession(key: string, session: SessionIndex): void;
  /** Nothing of this session is applied from now on; `last` was. */
  onSessionEnd(session: SessionIndex, last: number): void;
  /** The group agreed on what may come in its log. */
  onAgreed?(agreed: Support): void;
  onFailure(failure: MachineFailure): void;
}

/**
 * The replicated state of one group on one node: the user's machine, the sessions, position and group time. It is a function of the
 * committed log alone, so all replicas are equal at equal indexes.
 */
export class Replica {
  readonly #runtime: MachineRuntime;
  readonly #events: ReplicaEvents;
  readonly #groupId: UniqueId;
  readonly #networkId: UniqueId;
  #sessions = new SessionTable();
  #machine: MachineInstance;
  #voters: readonly MemberId[] = [];
  readonly #format: number;
  #incarnation: IncarnationId | undefined;
  #agreed: Support | undefined;
  #isOutdated = false;
  #failure: MachineFailure | undefined;
  #index: Index = 0;
  #position = 0;
  #timeMs = 0;
  #openIndex: Index | undefined;
  #establishedIndex: Index | undefined;
  #origins: readonly Origin[] = [];

  constructor(options: {
    runtime: MachineRuntime;
    groupId: UniqueId;
    networkId: UniqueId;
    events: ReplicaEvents;
    /** Default: of this code. */
    format?: number;
  }) {
    this.#runtime = options.runtime;
    this.#format = options.format ?? LOG_FORMAT;
    this.#groupId = options.groupId;
    this.#networkId = options.networkId;
    this.#events = options.events;
    this.#machine = options.runtime.create();
  }

  /** The last entry applied. */
  get index(): Index {
    return this.#index;
  }
  /** User commands applied, rejected ones included. */
  get position(): number {
    return this.#position;
  }
  /** The group's clock at the last entry. Never goes back. */
  get timeMs(): number {
    return this.#timeMs;
  }
  /** The *open* entry was applied. */
  get isOpen(): boolean {
    return this.#openIndex !== undefined;
  }
  /** Where that entry is. */
  get openIndex(): Index | undefined {
    return this.#openIndex;
  }
  /** Where the second one is: its leader knew that all voters held the first. */
  get establishedIndex(): Index | undefined {
    return this.#establishedIndex;
  }
  /** The incarnations that it was carried over from, the latest last. */
  get origins(): readonly Origin[] {
    return this.#origins;
  }
  get sessions(): SessionTable {
    return this.#sessions;
  }
  get failure(): MachineFailure | undefined {
    return this.#failure;
  }
  /** What may come in the log; undefined before the first such entry, and then no command does. */
  get agreed(): Support | undefined {
    return this.#agreed;
  }
  /** The log holds, or may hold, what this member's code does not know: it cannot judge what it is given to append. */
  get isOutdated(): boolean {
    return this.#isOutdated;
  }

  /** Of the last configuration applied. */
  get voters(): readonly MemberId[] {
    return this.#voters;
  }

  /** The machine can give its state, and take one. */
  get isPortable(): boolean {
    return this.#machine.snapshot !== undefined && this.#machine.restore !== undefined;
  }

  /** There is a state to give: the machine can, and did not fail, and the incarnation serves. */
  get hasSnapshots(): boolean {
    const { snapshot } = this.#machine;
    return snapshot !== undefined && this.#failure === undefined && this.#establishedIndex !== undefined;
  }

  /** The state as bytes, in pieces; undefined if there is none to give. Nothing may be applied before the last piece is taken. */
  encodeSnapshot(): Iterable<Uint8Array> | undefined {
    const { snapshot } = this.#machine;
    const { name, version } = this.#runtime;
    const openIndex = this.#openIndex;
    const establishedIndex = this.#establishedIndex;
    const incarnation = this.#incarnation;
    if (snapshot === undefined || this.#failure !== undefined || incarnation === undefined) return undefined;
    // Before it serves, its founders look at the log itself.
    if (openIndex === undefined || establishedIndex === undefined) return undefined;
    const { position, timeMs } = this;
    const open = { openIndex, establishedIndex };
    const lineage = { incarnation, origins: this.#origins };
    const facts = { ...lineage, position, timeMs, ...open, agreed: this.#agreed, machine: { name, version } };
    return encodeSnapshot(facts, this.#sessions, snapshot());
  }

  /** Takes over the state that the log led to at this place. What the machine throws halts it, and nothing else. */
  restore(place: SnapshotMark, state: ReplicaState): void {
    this.#index = place.index;
    this.#voters = place.voters;
    this.#incarnation = state.incarnation;
    this.#position = state.position;
    this.#timeMs = state.timeMs;
    this.#openIndex = state.openIndex;
    this.#establishedIndex = state.establishedIndex;
    this.#sessions = state.sessions;
    this.#origins = state.origins;
    if (state.agreed !== undefined) this.#agree(state.agreed);
    const { version } = state.machine;
    if (version > this.#runtime.version) this.#outdate(`a snapshot of version ${version} of the machine`);
    if (this.#failure !== undefined) return;
    try {
      this.#machine = this.#runtime.create();
      if (this.#machine.restore === undefined) throw new Error("the machine cannot restore a snapshot");
      this.#machine.restore(state.chunks, version);
    } catch (cause) {
      this.#fail("restore", cause);
    }
  }

  /** From here on the state is that of another incarnation, open from its start. @param origin - whose commands stay known; undefined: of another group */
  beginAnew(incarnation: IncarnationId, origin?: Origin): void {
    this.#incarnation = incarnation;
    this.#openIndex = this.#index;
    this.#establishedIndex = this.#index;
    this.#origins = origin === undefined ? [] : [...this.#origins, origin].slice(-ORIGINS_MAX);
    if (origin !== undefined) return;
    this.#sessions = new SessionTable();
    this.#agreed = undefined;
  }

  /** Applies the next committed entry. */
  apply(entry: Entry): void {
    this.#index = entry.index;
    switch (entry.kind) {
      case ENTRY_GENESIS: {
        const genesis = decodeGenesis(entry.data);
        this.#incarnation = genesis.incarnation;
        this.#timeMs = genesis.timeMs;
        this.#voters = genesis.voters;
        break;
      }
      case ENTRY_OPEN:
        if (this.#openIndex === undefined) this.#openIndex = entry.index;
        else this.#establishedIndex ??= entry.index;
        break;
      case ENTRY_SESSION: {
        const { key, owner } = decodeSession(entry.data);
        this.#events.onSession(key, this.#sessions.begin(entry.index, key, owner));
        break;
      }
      case ENTRY_SESSION_END:
        this.#endSessions(decodeSessionEnd(entry.data));
        break;
      case ENTRY_COMMANDS:
        this.#applyRun(entry);
        break;
      case ENTRY_VERSION:
        this.#agree(decodeVersion(entry.data));
        break;
      case ENTRY_CONFIGURATION:
        this.#voters = decodeConfiguration(entry.data);
        break;
      case ENTRY_NOOP:
        break;
      default:
        // Of a later version: whatever it means, our state would not be that of the others.
        this.#outdate(`an entry of unknown kind ${entry.kind}`);
    }
  }

  /** @throws what the query throws */
  query(query: unknown): unknown {
    return this.#machine.query(query);
  }

  #agree(agreed: Support): void {
    this.#agreed = agreed;
    const { version } = this.#runtime;
    if (agreed.format > this.#format)
      this.#outdate(`a log of format ${agreed.format}, and format ${this.#format} here`);
    if (agreed.version > version) this.#outdate(`a machine of version ${agreed.version}, and version ${version} here`);
    this.#events.onAgreed?.(agreed);
  }

  #outdate(reason: string): void {
    this.#isOutdated = true;
    if (this.#failure === undefined) this.#fail("?", new Error(`the code on this member is too old: ${reason}`));
  }

  #endSessions(sessions: readonly SessionIndex[]): void {
    for (const session of sessions) {
      const last = this.#sessions.end(session);
      if (last !== undefined) this.#events.onSessionEnd(session, last);
    }
  }

  #applyRun(entry: Entry): void {
    const { session, number, timeMs, batches } = decodeRun(entry.data);
    this.#timeMs = Math.max(this.#timeMs, timeMs);
    let ordinal = 0;
    for (let i = 0; i < batches.length; i++) {
      const batch = batches[i] as CommandBatch;
      // A halted replica keeps sessions and clock: its member may lead all the same, and must know what is in the log.
      if (this.#sessions.admit(session, number + i) === "apply" && this.#failure === undefined) {
        const outcomes = this.#applyBatch(entry, ordinal, batch);
        if (outcomes !== undefined) this.#onBatch({ session, number: number + i, position: this.#position, outcomes });
      }
      ordinal += batch.count;
    }
  }

  #onBatch(batch: AppliedBatch): void {
    const isRejected = batch.outcomes.some(({ type }) => type === "rejected");
    this.#sessions.place(batch.session, batch.number, batch.position, isRejected);
    this.#events.onBatch(batch);
  }

  /** @param ordinal - of the first command in its entry. Undefined: the machine failed on the way */
  #applyBatch(entry: Entry, ordinal: number, batch: CommandBatch): readonly CommandOutcome[] | undefined {
    const { applyBatch } = this.#machine;
    if (applyBatch === undefined || batch.count === 1) return this.#applyEach(entry, ordinal, batch);
    return this.#applyTogether(entry, ordinal, batch, applyBatch);
  }

  #applyEach(entry: Entry, ordinal: number, batch: CommandBatch): CommandOutcome[] | undefined {
    const outcomes: CommandOutcome[] = new Array(batch.count);
    let name = "?";
    try {
      const reader = new ByteReader(batch.bytes, batch.start);
      for (let i = 0; i < batch.count; i++) {
        const command = this.#runtime.readCommand(reader, reader.varint());
        name = command.name;
        const outcome = this.#machine.apply(command, this.#contextOf(entry, ordinal + i, this.#position + 1));
        this.#position++;
        outcomes[i] = outcome;
        this.#tell(command, outcome, this.#position);
      }
      return outcomes;
    } catch (cause) {
      this.#fail(name, cause);
      return undefined;
    }
  }

  #applyTogether(
    entry: Entry,
    ordinal: number,
    batch: CommandBatch,
    applyBatch: NonNullable<MachineInstance["applyBatch"]>,
  ): readonly CommandOutcome[] | undefined {
    try {
      const decoded = readCommands(batch, this.#runtime.readCommand);
      const contexts = decoded.map((_, i) => this.#contextOf(entry, ordinal + i, this.#position + 1 + i));
      const outcomes = applyBatch(decoded, contexts);
      for (const [i, outcome] of outcomes.entries()) {
        this.#position++;
        this.#tell(decoded[i] as DecodedCommand, outcome, this.#position);
      }
      return outcomes;
    } catch (cause) {
      this.#fail("applyBatch", cause);
      return undefined;
    }
  }

  #tell({ name, input }: DecodedCommand, outcome: CommandOutcome, position: number): void {
    if (outcome.type !== "applied" || this.#events.isWatched?.() !== true) return;
    const { result } = outcome;
    this.#events.onCommand?.({ type: "applied", position, timeMs: this.#timeMs, name, input, result });
  }

  #contextOf({ index, term }: Entry, ordinal: number, position: number): ApplyContext {
    return {
      position,
      index,
      term,
      timeMs: this.#timeMs,
      version: this.#agreed?.version ?? 1,
      groupId: this.#groupId,
      networkId: this.#networkId,
      random: randomOf(this.#incarnation as IncarnationId, index, ordinal),
    };
  }

  #fail(command: string, cause: unknown): void {
    this.#failure = { position: this.#position + 1, command, cause };
    this.#events.onFailure(this.#failure);
  }
}

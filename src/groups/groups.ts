import { isDeepStrictEqual } from "node:util";
import {
  badOption,
  checkFields,
  LIMITS,
  type MosaikError,
  mosaikError,
  type OneOrMore,
  type Options,
} from "../env/index.ts";
import { hash, type PeerId, Secret, UniqueId } from "../identity/index.ts";
import { type IncarnationId, memoryStorageFactory, type StorageFactory } from "../storage/index.ts";
import type { ProtocolHandler } from "../transport/index.ts";
import { CLOSE, type Hello, type Link } from "../wire/index.ts";
import { decodeHello, GROUP_PROTOCOL, type Verdict } from "./bonds/index.ts";
import { checkTimeout } from "./calls.ts";
import { LOG_FORMAT } from "./entries/index.ts";
import { GroupHandle } from "./group.ts";
import { inspectMember } from "./inspect.ts";
import type { MemberOptions, Timing } from "./life/index.ts";
import { type AnyMachine, type NoMachine, noMachine, runtimeOf } from "./machine/index.ts";
import { Member } from "./member.ts";
import type { Group, GroupStatus, Groups, OpenOptions, RoleOptions } from "./types.ts";

/** What this code speaks, and what it can read in a log. */
export interface GroupCode {
  /** Of the bond's frames. */
  readonly versionMin: number;
  readonly versionMax: number;
  readonly features: number;
  readonly logFormat: number;
}
const THIS_CODE: GroupCode = { versionMin: 1, versionMax: 1, features: 0, logFormat: LOG_FORMAT };
const JOIN_OPTIONS = [
  "machine",
  "expect",
  "leadership",
  "timeoutMs",
  "secret",
  "maxVoters",
  "storage",
  "discard",
  "from",
  "tuning",
];
const DEFAULT_TIMEOUT_MS = 10_000;
const RELUCTANT_FACTOR = 3;

export interface JoinedMember {
  readonly name: string;
  readonly id: UniqueId;
  readonly member: Member;
}

/** What all groups of a network share. */
export type GroupsContext = Pick<
  MemberOptions,
  "env" | "selfId" | "networkId" | "endpoint" | "directory" | "storage" | "logger" | "probe"
> & {
  /** A member came to be; the result is called when it is gone. */
  readonly onJoined?: (joined: JoinedMember) => () => void;
  /** For tests of upgrades: as if it were older or newer code. */
  readonly code?: GroupCode | undefined;
};

interface Joined {
  readonly member: Member;
  readonly options: MemberOptions;
  handles: number;
  closing: Promise<void> | undefined;
}

/** The groups of one network on this node: joins, shares and finds them. */
export class GroupRegistry implements Groups {
  readonly #context: GroupsContext;
  readonly #joined = new Map<UniqueId, Joined>();
  readonly #code: GroupCode;
  #isClosed = false;

  /** Before the endpoint listens. */
  constructor(context: GroupsContext) {
    this.#context = context;
    this.#code = context.code ?? THIS_CODE;
    context.endpoint.handle(GROUP_PROTOCOL, this.#protocol());
  }

  join<M extends AnyMachine = NoMachine>(
    name: string,
    options: RoleOptions & OpenOptions & Options<{ machine: M }>,
  ): Group<M> {
    if (this.#isClosed) throw mosaikError("closed", "the network is closed");
    checkFields(options, "options", JOIN_OPTIONS);
    const memberOptions = this.#memberOptions(name, options);
    const timeoutMs = checkTimeout(options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    const known = this.#joined.get(memberOptions.groupId);
    if (known !== undefined && known.closing === undefined) {
      if (options.from !== undefined) throw conflict(name, "its own state: an import makes a new group");
      assertSame(name, known.options, memberOptions);
      return this.#handle<M>(known, timeoutMs);
    }
    if (this.#joined.size >= LIMITS.groupsPerNetworkMax) {
      throw mosaikError("overloaded", `a network has at most ${LIMITS.groupsPerNetworkMax} groups`, {
        hidden: { rejected: [name] },
      });
    }
    if (known !== undefined)
      throw mosaikError("closed", `group \`${name}\` is still closing here; await its close() before joining again`);
    const joined: Joined = {
      member: new Member(memberOptions),
      options: memberOptions,
      handles: 0,
      closing: undefined,
    };
    this.#joined.set(memberOptions.groupId, joined);
    const onGone = this.#context.onJoined?.({ name, id: memberOptions.groupId, member: joined.member });
    void joined.member.ending.closed.then(() => {
      this.#forget(joined);
      onGone?.();
    });
    return this.#handle<M>(joined, timeoutMs);
  }

  /** By name. */
  get members(): readonly JoinedMember[] {
    return [...this.#joined.values()]
      .map(({ member, options }) => ({ name: options.name, id: options.groupId, member }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Plain JSON, for people. */
  inspect(): readonly object[] {
    return this.members.map(({ name, id, member }) => ({ name, id, ...inspectMember(member) }));
  }

  status(): readonly GroupStatus[] {
    return this.members.map(({ name, member }) => ({
      name,
      state: member.state,
      leader: member.leader,
      position: member.position,
    }));
  }

  /** Leadership left in order, then all members closed. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#joined.values()].map((joined) => this.#closeMember(joined)));
  }

  #handle<M extends AnyMachine>(joined: Joined, timeoutMs: number): Group<M> {
    joined.handles++;
    return new GroupHandle<M>(joined.member, joined.options, timeoutMs, async () => {
      joined.handles--;
      if (joined.handles === 0) await this.#closeMember(joined);
    });
  }

  #closeMember(joined: Joined): Promise<void> {
    joined.closing ??= joined.member.ending.close().then(() => this.#forget(joined));
    return joined.closing;
  }

  #forget(joined: Joined): void {
    if (this.#joined.get(joined.options.groupId) === joined) this.#joined.delete(joined.options.groupId);
  }

  #memberOptions(name: string, options: RoleOptions & OpenOptions & Options<{ machine: AnyMachine }>): MemberOptions {
    if (typeof name !== "string" || name === "" || Buffer.byteLength(name) > LIMITS.nameBytesMax) {
      throw badOption("name", `must be a text of 1 to ${LIMITS.nameBytesMax} bytes`);
    }
    const isObserver = options.leadership === "observer";
    const runtime = runtimeOf(options.machine ?? noMachine);
    const { version, commandNames } = runtime;
    return {
      ...this.#context,
      name,
      groupId: UniqueId.derive(this.#context.networkId, UniqueId.toBytes(hash(name))),
      runtime,
      support: { format: this.#code.logFormat, version, commands: commandNames },
      secrets: secretsOf(options.secret),
      timing: timingOf(options),
      snapshotEveryEntries: snapshotEveryOf(options),
      isObserver,
      expect: isObserver ? undefined : expectOf(options),
      maxVoters: maxVotersOf(options.maxVoters),
      storage: this.#storageOf(options.storage),
      discard: discardOf(options.discard),
      from: sourceOf(options),
    };
  }

  #storageOf(storage: unknown): StorageFactory {
    const { env, storage: usual } = this.#context;
    if (storage === undefined || (storage === "file" && usual.isDurable)) return usual;
    if (storage === "memory") return usual.isDurable ? memoryStorageFactory(env) : usual;
    throw badOption("storage", "must be `memory`, or `file` on a network with a `dataDir`");
  }

  #protocol(): ProtocolHandler {
    const memberFor = (payload: Uint8Array): Member | undefined => this.#joined.get(decodeHello(payload).group)?.member;
    return {
      frameBytesMax: LIMITS.groupFrameBytesMax,
      ...this.#code,
      accept: (hello: Hello, stream: { readonly remoteId: PeerId; exportKey: Link["exportKey"] }): Verdict =>
        memberFor(hello.payload)?.bonds.accept(hello, stream) ?? {
          refuse: CLOSE.groupNotFound,
          reason: "not in this group",
        },
      onLink: (link) => {
        const member = memberFor(link.remotePayload);
        if (member !== undefined) return member.bonds.onLink(link);
        link.start({ onFrame: () => {}, onClose: () => {} });
        void link.close(CLOSE.groupNotFound, "not in this group");
      },
    };
  }
}

function assertSame(name: string, known: MemberOptions, other: MemberOptions): void {
  const [a, b] = [known.runtime, other.runtime];
  const isSame = a.name === b.name && a.version === b.version && a.codecName === b.codecName;
  if (!isSame || !isDeepStrictEqual(a.commandNames, b.commandNames))
    throw conflict(name, `machine \`${a.name}\` version ${a.version}`);
  if (known.storage.isDurable !== other.storage.isDurable)
    throw conflict(name, `storage \`${known.storage.isDurable ? "file" : "memory"}\``);
}

function conflict(name: string, open: string): MosaikError {
  return mosaikError("definition-conflict", `group \`${name}\` is open here with ${open}`, { details: { name } });
}

/** Only a lone founder knows that nobody founds with another state. */
function sourceOf(options: RoleOptions & OpenOptions): OpenOptions["from"] {
  const { from } = options;
  if (from === undefined) return undefined;
  const isIterable =
    typeof from === "object" && from !== null && (Symbol.asyncIterator in from || Symbol.iterator in from);
  if (!isIterable) throw badOption("from", "must be an iterable of the bytes of an export");
  if ("expect" in options && options.expect === 1) return from;
  throw badOption("from", "needs `expect: 1`: others join what this member makes of it");
}

function expectOf(options: RoleOptions): number {
  const expect: unknown = "expect" in options ? options.expect : undefined;
  if (!Number.isInteger(expect) || (expect as number) < 1 || (expect as number) > LIMITS.expectMax) {
    throw badOption("expect", `must be a whole number from 1 to ${LIMITS.expectMax}: how many members found the group`);
  }
  return expect as number;
}

function timingOf(options: RoleOptions & OpenOptions): Timing {
  const heartbeatIntervalMs = options.tuning?.heartbeatIntervalMs ?? 150;
  const electionTimeoutMs = options.tuning?.electionTimeoutMs ?? 1_000;
  if (!(heartbeatIntervalMs >= 25 && heartbeatIntervalMs <= 60_000)) {
    throw badOption("tuning.heartbeatIntervalMs", "must be from 25 to 60,000");
  }
  if (!(electionTimeoutMs >= 4 * heartbeatIntervalMs && electionTimeoutMs <= 600_000)) {
    throw badOption("tuning.electionTimeoutMs", "must be at least 4 heartbeat intervals, and at most 600,000");
  }
  const promoteAfterMs = options.tuning?.promoteAfterMs ?? 1_000;
  const removeDeadAfterMs = options.tuning?.removeDeadAfterMs ?? 30_000;
  if (!(promoteAfterMs >= 0 && promoteAfterMs <= 3_600_000)) {
    throw badOption("tuning.promoteAfterMs", "must be from 0 to 3,600,000");
  }
  if (!(removeDeadAfterMs >= electionTimeoutMs && removeDeadAfterMs <= 86_400_000)) {
    throw badOption("tuning.removeDeadAfterMs", "must be from the election timeout to 86,400,000");
  }
  const sessionTtlMs = options.tuning?.sessionTtlMs ?? 600_000;
  if (!(sessionTtlMs >= electionTimeoutMs && sessionTtlMs <= 604_800_000)) {
    throw badOption("tuning.sessionTtlMs", "must be from the election timeout to 604,800,000");
  }
  return {
    heartbeatIntervalMs,
    electionTimeoutMs,
    electionFactor: factorOf(options),
    promoteAfterMs,
    removeDeadAfterMs,
    sessionTtlMs,
  };
}

function maxVotersOf(maxVoters: unknown): number {
  if (maxVoters === undefined) return LIMITS.votersMax;
  if (Number.isInteger(maxVoters) && (maxVoters as number) >= 1 && (maxVoters as number) <= LIMITS.votersMax)
    return maxVoters as number;
  throw badOption("maxVoters", `must be a whole number from 1 to ${LIMITS.votersMax}`);
}

function snapshotEveryOf({ tuning }: OpenOptions): number {
  const every = tuning?.snapshotEveryEntries ?? 16_384;
  if (Number.isInteger(every) && every >= 8 && every <= 100_000_000) return every;
  throw badOption("tuning.snapshotEveryEntries", "must be a whole number from 8 to 100,000,000");
}

function discardOf(discard: unknown): IncarnationId | undefined {
  if (discard === undefined || UniqueId.is(discard)) return discard as IncarnationId | undefined;
  throw badOption("discard", "must be the id of an incarnation: 64 hex digits");
}

function factorOf({ leadership }: RoleOptions): number {
  if (leadership === undefined || leadership === "normal" || leadership === "observer") return 1;
  if (leadership === "reluctant") return RELUCTANT_FACTOR;
  const factor: unknown = (leadership as { reluctant?: unknown } | null)?.reluctant;
  if (typeof factor === "number" && factor >= 1 && factor <= 100) return factor;
  throw badOption("leadership", "must be `normal`, `reluctant`, `{ reluctant: 1 to 100 }` or `observer`");
}

/** @throws `bad-option` */
export function secretsOf(secret: OneOrMore<string> | undefined): readonly Secret[] {
  if (secret === undefined) return [];
  const texts: readonly unknown[] = Array.isArray(secret) ? secret : [secret];
  if (texts.length === 0) throw badOption("secret", "is an empty list");
  return texts.map((text) => {
    if (typeof text !== "string" || [...text].length < LIMITS.secretCharactersMin) {
      throw badOption("secret", `must have at least ${LIMITS.secretCharactersMin} characters`);
    }
    return new Secret(text);
  });
}

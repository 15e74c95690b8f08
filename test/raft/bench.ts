import {
  type Entry,
  type Envelope,
  type HardState,
  type Input,
  type LogPosition,
  type MemberId,
  type Message,
  type Persist,
  Raft,
  type RaftOptions,
  type Ready,
  type SnapshotMark,
} from "../../src/raft/index.ts";
import { KIND_COMMAND, KIND_VOTERS, printEntries, printEnvelope, printPosition, printReady } from "./print.ts";
import type { Command } from "./walk-data.ts";

const ELECTION_TICKS = 10;

interface Write {
  readonly persist: Persist | undefined;
  afterHardState: readonly Envelope[];
  readonly after: readonly Envelope[];
}

interface Node {
  readonly name: MemberId;
  raft: Raft;
  /** What a crash leaves. */
  hardState: HardState;
  snapshot: SnapshotMark | undefined;
  base: LogPosition;
  entries: Entry[];
  /** Writes under way, with the messages that wait for them. */
  writes: Write[];
  /** Writes are done at once, and reported at once. */
  isDiskAutomatic: boolean;
  wasRole: string;
}

/**
 * A few bare Raft members, a list of messages on their way, and disks that finish when told. A data file drives it by the commands in
 * `#commands`; each prints all that its steps gave.
 */
export class RaftBench {
  readonly #nodes = new Map<string, Node>();
  #network: Envelope[] = [];
  #limits = { appendBytesMax: 1_000_000, appendEntriesMax: 100, inflightBytesMax: 8_000_000 };
  readonly #commands: Record<string, (command: Command) => string[]> = {
    // limits append-entries=2 append-bytes=100 inflight=200: for members added later
    limits: (command) => this.#onLimits(command),
    // add ada voters=ada,bob,cyd term=3 vote=bob log=1,1,3 disk=manual: terms of the entries; entry 1 says who votes
    add: (command) => this.#onAdd(command),
    // tick ada 3 election=12
    tick: (command) => this.#onTick(command),
    campaign: ({ words }) => this.#step(words[0], [{ type: "campaign", electionTicks: ELECTION_TICKS }]),
    // propose ada x y: one step; propose ada count=1000 bytes=10
    propose: (command) => this.#onPropose(command),
    // change ada ada,bob: proposes a configuration
    change: ({ words }) => this.#step(words[0], [{ type: "propose", entries: [voters(words[1] ?? "")] }]),
    // read ada 1 2
    read: ({ words }) =>
      this.#step(
        words[0],
        words.slice(1).map((id) => ({ type: "read", id: Number(id) })),
      ),
    // transfer ada bob
    transfer: ({ words }) => this.#onTransfer(words),
    // compact ada 5 keep=2: a snapshot at 5 is durable, and the log keeps two entries of what it covers
    compact: (command) => this.#onCompact(command),
    // installed ada 5/2 voters=ada,bob: a snapshot came from elsewhere
    installed: (command) => this.#onInstalled(command),
    // link-closed ada bob campaign=1
    "link-closed": ({ words, fields }) =>
      this.#step(words[0], [
        { type: "link-closed", peer: member(words[1]), campaignTicks: Number(fields.get("campaign") ?? 1) },
      ]),
    "link-opened": ({ words }) => this.#step(words[0], [{ type: "link-opened", peer: member(words[1]) }]),
    // message bob->ada vote term=2 last=1/1
    message: (command) => this.#onMessage(command),
    // deliver: all that is on its way now; deliver ada->bob; deliver ada->bob keep (as a duplicate); deliver ada->bob last
    deliver: (command) => this.#onDeliver(command),
    // drop: all; drop ada->bob
    drop: ({ words }) => this.#take(words[0]).map((envelope) => `lost ${printEnvelope(envelope)}`),
    // settle: deliver and persist until nothing is left; settle quiet
    settle: (command) => this.#onSettle(command),
    // persist ada: one write under way is done
    persist: ({ words }) => this.#onPersist(this.#node(words[0])),
    // persist-hard-state ada: of all writes under way the hard states are done, and nothing else
    "persist-hard-state": ({ words }) => this.#onPersistHardState(this.#node(words[0])),
    // restart ada: from what was durable
    restart: ({ words }) => this.#onRestart(this.#node(words[0])),
    // disk ada manual|auto
    disk: ({ words }) => this.#onDisk(words),
    network: () => this.#network.map(printEnvelope),
    log: ({ words }) => [printEntries([...this.#log(this.#node(words[0]).raft)])],
    status: ({ words }) => this.#onStatus(words),
    progress: ({ words }) => this.#onProgress(words),
  };

  run(command: Command): readonly string[] {
    const handler = this.#commands[command.name];
    if (handler === undefined) throw new Error(`no such command: ${command.line}`);
    return handler(command);
  }

  #onLimits({ fields }: Command): string[] {
    const { appendEntriesMax, appendBytesMax, inflightBytesMax } = this.#limits;
    this.#limits = {
      appendEntriesMax: Number(fields.get("append-entries") ?? appendEntriesMax),
      appendBytesMax: Number(fields.get("append-bytes") ?? appendBytesMax),
      inflightBytesMax: Number(fields.get("inflight") ?? inflightBytesMax),
    };
    return [];
  }

  #onAdd({ words, fields }: Command): string[] {
    const terms = (fields.get("log") ?? "")
      .split(",")
      .filter((term) => term !== "")
      .map(Number);
    const entries = terms.map((term, at): Entry => {
      const content = at === 0 ? voters(fields.get("voters") ?? words.join(",")) : command(`e${at + 1}`);
      return { index: at + 1, term, ...content };
    });
    const vote = fields.get("vote");
    const hardState = {
      term: Number(fields.get("term") ?? terms[terms.length - 1] ?? 0),
      votedFor: vote === undefined ? undefined : member(vote),
    };
    for (const word of words) {
      const disk = { hardState, snapshot: undefined, base: { index: 0, term: 0 }, entries: [...entries] };
      const raft = new Raft({ ...disk, ...this.#options(member(word)) });
      const isDiskAutomatic = fields.get("disk") !== "manual";
      const node = { name: member(word), raft, ...disk, writes: [], isDiskAutomatic };
      this.#nodes.set(word, { ...node, wasRole: "follower" });
    }
    return [];
  }

  #onTick({ words, fields }: Command): string[] {
    const election = Number(fields.get("election") ?? ELECTION_TICKS);
    const lines: string[] = [];
    for (let left = Number(words[1] ?? 1); left > 0; left--) {
      lines.push(...this.#step(words[0], [{ type: "tick", electionTicks: election }]));
    }
    return lines;
  }

  #onPropose({ words, fields }: Command): string[] {
    const texts = words.slice(1);
    const count = Number(fields.get("count") ?? 0);
    for (let n = 0; n < count; n++) texts.push("x".repeat(Number(fields.get("bytes") ?? 1)));
    return this.#step(
      words[0],
      texts.map((text) => ({ type: "propose", entries: [command(text)] })),
    );
  }

  #onCompact({ words, fields }: Command): string[] {
    const node = this.#node(words[0]);
    const snapshot = Number(words[1]);
    const upTo = snapshot - Number(fields.get("keep") ?? 0);
    const lines = this.#step(words[0], [{ type: "compact", snapshot, upTo }]);
    node.snapshot = node.raft.snapshot;
    node.entries = node.entries.filter(({ index }) => index > node.raft.base.index);
    node.base = node.raft.base;
    return lines;
  }

  #onInstalled({ words, fields }: Command): string[] {
    const names = (fields.get("voters") ?? "").split(",").map(member);
    return this.#step(words[0], [{ type: "installed", snapshot: { ...position(words[1]), voters: names } }]);
  }

  #onTransfer([from, to]: readonly string[]): string[] {
    return this.#step(from, [to === undefined ? { type: "transfer" } : { type: "transfer", to: member(to) }]);
  }

  #onMessage({ words, fields }: Command): string[] {
    const [from, to] = route(words[0]);
    return this.#step(to, [{ type: "message", from: member(from), message: parseMessage(words.slice(1), fields) }]);
  }

  #onDeliver({ words }: Command): string[] {
    const isKept = words.includes("keep");
    const taken = this.#take(words[0] === "keep" || words[0] === "reversed" ? undefined : words[0]);
    if (isKept) this.#network.push(...taken);
    if (words.includes("reversed")) taken.reverse();
    return taken.flatMap((envelope) => this.#deliver(envelope));
  }

  #onSettle({ words }: Command): string[] {
    const lines: string[] = [];
    for (let rounds = 0; rounds < 200; rounds++) {
      const busy = [...this.#nodes.values()].filter((node) => node.writes.length > 0);
      if (busy.length === 0 && this.#network.length === 0) break;
      for (const node of busy) lines.push(...this.#onPersist(node));
      for (const envelope of this.#take(undefined)) lines.push(...this.#deliver(envelope));
    }
    return words.includes("quiet") ? [] : lines;
  }

  #onPersistHardState(node: Node): string[] {
    const inputs: Input[] = [];
    for (const write of node.writes) {
      this.#network.push(...write.afterHardState);
      write.afterHardState = [];
      const { persist } = write;
      if (persist?.hardState === undefined) continue;
      node.hardState = persist.hardState;
      inputs.push({ type: "hard-state-persisted", writeId: persist.writeId });
    }
    return this.#step(node.name, inputs);
  }

  #onPersist(node: Node): string[] {
    const write = node.writes.shift();
    if (write === undefined) return [];
    this.#network.push(...write.afterHardState, ...write.after);
    const { persist } = write;
    if (persist === undefined) return [];
    if (persist.hardState !== undefined) node.hardState = persist.hardState;
    if (persist.snapshot !== undefined) {
      node.snapshot = node.base = persist.snapshot;
      node.entries = [];
    }
    if (persist.truncateFrom !== undefined) node.entries.length = persist.truncateFrom - node.base.index - 1;
    node.entries.push(...persist.entries);
    return this.#step(node.name, [{ type: "persisted", writeId: persist.writeId }]);
  }

  #onRestart(node: Node): string[] {
    node.writes = [];
    node.wasRole = "follower";
    const { hardState, snapshot, base, entries } = node;
    node.raft = new Raft({ ...this.#options(node.name), hardState, snapshot, base, entries: [...entries] });
    const { term, votedFor } = node.hardState;
    return [`${node.name} restarts term=${term} vote=${votedFor ?? "-"} last=${printPosition(node.raft.last)}`];
  }

  #onDisk([name, mode]: readonly string[]): string[] {
    const node = this.#node(name);
    node.isDiskAutomatic = mode === "auto";
    return node.isDiskAutomatic ? this.#finishWrites(node) : [];
  }

  #onStatus(words: readonly string[]): string[] {
    const names = words.length > 0 ? words : [...this.#nodes.keys()];
    return names.map((name) => {
      const status = this.#node(name).raft.status();
      const { role, term, votedFor, leader, commit, durable, last, voters, base, snapshotIndex } = status;
      const head = `${name} ${role} term=${term} vote=${votedFor ?? "-"} leader=${leader ?? "-"}`;
      const covered = snapshotIndex > 0 ? ` snapshot=${snapshotIndex} base=${printPosition(base)}` : "";
      return `${head} commit=${commit} durable=${durable} last=${printPosition(last)} voters=${voters.join(",")}${covered}`;
    });
  }

  #onProgress([name]: readonly string[]): string[] {
    return this.#node(name)
      .raft.progress()
      .map(({ member, state, match, next, inflightBytes, silentTicks }) => {
        return `${member} ${state} match=${match} next=${next} inflight=${inflightBytes} silent=${silentTicks}`;
      });
  }

  /** One step of one member; its output, and that of the writes that are done at once. */
  #step(name: string | undefined, inputs: readonly Input[]): string[] {
    const node = this.#node(name);
    const ready = node.raft.step(inputs);
    const lines = this.#printStep(node, ready);
    this.#network.push(...ready.send);
    const { persist, sendAfterHardState: afterHardState, sendAfterPersist: after } = ready;
    if (persist !== undefined || afterHardState.length > 0 || after.length > 0) {
      node.writes.push({ persist, afterHardState, after });
    }
    if (node.isDiskAutomatic) lines.push(...this.#finishWrites(node));
    return lines;
  }

  #finishWrites(node: Node): string[] {
    const lines: string[] = [];
    while (node.writes.length > 0) lines.push(...this.#onPersist(node));
    return lines;
  }

  #printStep(node: Node, ready: Ready): string[] {
    const { role, term } = node.raft;
    const lines = printReady(ready).map((line) => (line.includes("->") ? line : `${node.name}: ${line}`));
    if (role !== node.wasRole) lines.unshift(`${node.name}: becomes ${role} of term ${term}`);
    node.wasRole = role;
    return lines;
  }

  #deliver({ from, to, message }: Envelope): string[] {
    if (!this.#nodes.has(to)) return [];
    return this.#step(to, [{ type: "message", from, message }]);
  }

  /** Takes from the network what goes this way: `ada->bob`, `ada->`, `->bob`, or everything. */
  #take(way: string | undefined): Envelope[] {
    const [from, to] = route(way ?? "->");
    const isTaken = (e: Envelope) => (from === "" || e.from === from) && (to === "" || e.to === to);
    const taken = this.#network.filter(isTaken);
    this.#network = this.#network.filter((envelope) => !isTaken(envelope));
    return taken;
  }

  #options(self: MemberId): Omit<RaftOptions, "hardState" | "entries"> {
    return {
      self,
      votersOf: (entry) =>
        entry.kind === KIND_VOTERS ? Buffer.from(entry.data).toString().split(",").map(member) : undefined,
      electionTicks: ELECTION_TICKS,
      electionTicksMin: ELECTION_TICKS,
      heartbeatTicks: 2,
      ...this.#limits,
    };
  }

  *#log(raft: Raft): Generator<Entry> {
    for (let index = raft.base.index + 1; index <= raft.last.index; index++) {
      const entry = raft.entry(index);
      if (entry !== undefined) yield entry;
    }
  }

  #node(name: string | undefined): Node {
    const node = this.#nodes.get(name ?? "");
    if (node === undefined) throw new Error(`no such member: ${name}`);
    return node;
  }
}

function member(name: string | undefined): MemberId {
  return (name ?? "") as MemberId;
}

function voters(names: string): Pick<Entry, "kind" | "data"> {
  return { kind: KIND_VOTERS, data: Buffer.from(names) };
}

function command(text: string): Pick<Entry, "kind" | "data"> {
  return { kind: KIND_COMMAND, data: Buffer.from(text) };
}

function route(way: string | undefined): [string, string] {
  const [from = "", to = ""] = (way ?? "").split("->");
  return [from, to];
}

function position(text: string | undefined): { index: number; term: number } {
  const [index = 0, term = 0] = (text ?? "0/0").split("/").map(Number);
  return { index, term };
}

function parseMessage([type, ...flags]: readonly string[], fields: ReadonlyMap<string, string>): Message {
  const number = (name: string) => Number(fields.get(name) ?? 0);
  const term = number("term");
  const granted = flags.includes("granted");
  switch (type) {
    case "pre-vote":
      return { type, term, last: position(fields.get("last")) };
    case "vote":
      return { type, term, last: position(fields.get("last")), isTransfer: flags.includes("transfer") };
    case "pre-vote-reply":
    case "vote-reply":
      return { type, term, granted };
    case "append":
      return { type, term, ...parseAppend(fields), commit: number("commit"), round: number("round") };
    case "append-reply": {
      const conflict = fields.has("conflict") ? position(fields.get("conflict")) : undefined;
      return { type, term, round: number("round"), conflict, index: number("index") };
    }
    case "snapshot":
      return { type, term, place: position(fields.get("place")), round: number("round") };
    case "timeout-now":
      return { type, term };
    default:
      throw new Error(`no such message: ${type}`);
  }
}

/** `prev=2/1 terms=1,3`: entries 3/1 and 4/3. */
function parseAppend(fields: ReadonlyMap<string, string>): { prev: { index: number; term: number }; entries: Entry[] } {
  const prev = position(fields.get("prev"));
  const terms = (fields.get("terms") ?? "").split(",").filter((term) => term !== "");
  const entries = terms.map((term, at) => {
    const index = prev.index + 1 + at;
    return { index, term: Number(term), ...command(`e${index}`) };
  });
  return { prev, entries };
}

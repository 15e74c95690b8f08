// Ours: one node and its member of a group of keys and values, with or without a data directory, through the public surface alone.
import { built, medianOf, nowUs, rateOf, turn, watchLoop } from "./measure.mjs";

const { defineMachine, Network } = await built("index.js");

/** As many as etcd's client uses, so that the state stays small. */
const KEYS = 1_000;

/**
 * `isSnapshotted: false`: a member that joins gets the log, all of it. `maps`: the table lies in so many, since the engine copies one that grows as a
 * whole.
 */
const tableOf = (isSnapshotted, maps) => {
  const mapOf = ({ table }, key) => table[Number(key.slice(key.indexOf("-") + 1)) % maps];
  return defineMachine("bench-table", {
    // Maps, since their entries can be walked one by one, and the names of a record cannot.
    state: () => ({ puts: 0, table: Array.from({ length: maps }, () => new Map()) }),
    commands: {
      put: (state, { key, value }) => {
        mapOf(state, key).set(key, value);
        state.puts++;
      },
      count: (state) => {
        state.puts++;
      },
    },
    queries: {
      get: (state, key) => mapOf(state, key).get(key),
      puts: (state) => state.puts,
      size: (state) => state.table.reduce((sum, map) => sum + map.size, 0),
    },
    ...(isSnapshotted ? {} : { snapshot: false }),
  });
};

export class StoreMember {
  #options;
  #joining;
  #machine;
  #network;
  #group;
  #acknowledged = 0;
  #value = Buffer.alloc(256, 1);

  constructor({ secret, dataDir, tuning, isSnapshotted = true, maps = 1 }) {
    // What is asked of one member at once is much: a bench's batches are large.
    this.#joining = { timeoutMs: 60_000, ...(tuning === undefined ? {} : { tuning }) };
    this.#options = { secret, listen: "127.0.0.1:0", logger: false, ...(dataDir === undefined ? {} : { dataDir }) };
    this.#machine = tableOf(isSnapshotted, maps);
  }

  /** Makes the network. Where others reach it. */
  async create(bootstrap) {
    const options = bootstrap === undefined ? this.#options : { ...this.#options, bootstrap };
    this.#network = await Network.create("bench", options);
    return this.#network.status().addresses[0];
  }

  /** Resolves once online and open for commands; when that was, in microseconds of the machine's clock. */
  async join(expect) {
    this.#group = this.#network.groups.join("bench", { machine: this.#machine, expect, ...this.#joining });
    await this.#group.when.online();
    return nowUs();
  }

  first() {
    return this.#put();
  }

  isLeader() {
    return this.#group.isLeader;
  }

  /** One write at a time: the median, in microseconds. */
  putAlone(durationMs) {
    return medianOf(() => this.#put(), { durationMs });
  }

  /** Writes per second. */
  async puts(inFlight, durationMs) {
    return (await rateOf(() => this.#put(), { inFlight, durationMs })).perSecond;
  }

  /** Strong reads per second. */
  async gets(inFlight, durationMs) {
    let next = 0;
    const get = () => this.#group.query({ get: `key-${next++ % KEYS}` });
    return (await rateOf(get, { inFlight, durationMs })).perSecond;
  }

  /** Many small commands, in batches. */
  async fill(count, batch) {
    for (let done = 0; done < count; done += batch) {
      await this.#group.feedMany(Array.from({ length: Math.min(batch, count - done) }, () => "count"));
    }
  }

  /** So many keys, in batches. */
  async fillTable(count, batch) {
    for (let done = 0; done < count; done += batch) {
      const keys = Array.from({ length: Math.min(batch, count - done) }, (_, i) => `key-${done + i}`);
      await this.#group.feedMany(keys.map((key) => ({ put: { key, value: key } })));
    }
  }

  /** Writes on, over keys that are there, until a snapshot stands for all of the table and its log is gone. */
  async cutLog() {
    const filledTo = this.#inside().applied;
    while (this.#inside().raft.base.index < filledTo) await this.#put();
  }

  /** The longest time that `cutLog` held the event loop, in milliseconds, and the longest of our own code. */
  async cutLogHeld() {
    const held = watchLoop();
    await this.cutLog();
    return held();
  }

  /** The same of a process that does nothing. */
  async idleHeld(durationMs) {
    const held = watchLoop();
    const end = performance.now() + durationMs;
    while (performance.now() < end) await turn();
    return held();
  }

  acknowledged() {
    return this.#acknowledged;
  }

  position() {
    return this.#group.position;
  }

  /** What the machine holds, by a strong read. */
  async holds() {
    const [puts, size] = await Promise.all([this.#group.query("puts"), this.#group.query("size")]);
    return { puts: puts.result, size: size.result };
  }

  /**
   * A new peer follows the group until it has `position`, and leaves again. Milliseconds from its making, the longest of which the event loop was
   * held, and what it held itself.
   */
  async catchUp(bootstrap, position) {
    const began = performance.now();
    const network = await Network.create("bench", { ...this.#options, bootstrap });
    const group = network.groups.join("bench", { machine: this.#machine, leadership: "observer", ...this.#joining });
    // From here on: to make the network's keys and certificate is no part of it.
    const held = watchLoop();
    await group.when.reaches(position);
    const ms = performance.now() - began;
    const loop = await held();
    const [puts, size] = await Promise.all(
      ["puts", "size"].map((query) => group.query(query, { consistency: "weak" })),
    );
    const fetched = network.inspect().groups[0].snapshots?.fetched ?? 0;
    await network.close();
    return { ms, ...loop, puts: puts.result, size: size.result, fetched };
  }

  async close() {
    await this.#network?.close();
  }

  #inside() {
    return this.#network.inspect().groups[0];
  }

  async #put() {
    await this.#group.execute({ put: { key: `key-${this.#acknowledged % KEYS}`, value: this.#value } });
    this.#acknowledged++;
  }
}

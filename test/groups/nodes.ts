import { equal, match, ok } from "node:assert/strict";
import { test } from "node:test";
import { type Logger, SimulationError, silentLogger, VirtualWorld } from "../../src/env/index.ts";
import {
  type AnyMachine,
  defineMachine,
  type Group,
  type GroupCode,
  type NoMachine,
  type OpenOptions,
  Rejection,
  type RoleOptions,
} from "../../src/groups/index.ts";
import { hashBytes, Identity } from "../../src/identity/index.ts";
import { createNetwork, type Network } from "../../src/network.ts";
import type { NetworkOptions } from "../../src/network-options.ts";
import { memoryStorageFactory, type NodeDisk, type StorageFactory } from "../../src/storage/index.ts";
import { MemoryNetwork } from "../../src/transport/index.ts";

/** The machine of most scenarios. */
export const Counter = defineMachine("counter", {
  state: () => ({ value: 0 }),
  commands: {
    add: (state, by: number) => {
      if (by === 666) throw new Rejection("unlucky", { by });
      state.value += by;
      return state.value;
    },
    note: (state, _text: string) => state.value,
  },
  queries: { value: (state) => state.value },
});
export type Counters = Group<typeof Counter>;

/** What its node wrote to the log, so that a scenario can look for it. */
export interface LogLine {
  readonly node: string;
  readonly level: keyof Logger;
  readonly fields: Record<string, unknown>;
  readonly message: string;
}

export interface NodeOptions extends NetworkOptions {
  /** Of which network. */
  readonly network?: string;
  /** Instead of a memory of its own. */
  readonly storage?: StorageFactory;
  /** Instead of a new one. */
  readonly identitySeed?: Uint8Array;
  /** As if its groups were of older or newer code. */
  readonly code?: GroupCode;
  /** Instead of both: keeps its groups and its identity from one life to the next. */
  readonly disk?: NodeDisk;
}

/** Whole nodes on virtual time, over a wire that delays, and that can be cut. */
export class Nodes {
  readonly world: VirtualWorld;
  readonly wire: MemoryNetwork;
  readonly log: LogLine[] = [];
  readonly #addresses = new Map<string, string>();
  readonly #networks = new Map<string, Network>();
  /** Of the process that has this name now. */
  readonly #lives = new Map<string, { isOver: boolean }>();
  readonly #blocked = new Set<string>();
  readonly #closers: (() => Promise<void>)[] = [];

  constructor(seed: number) {
    this.world = new VirtualWorld({ seed, eventsMax: 3_000_000, virtualMsMax: 600_000 });
    const random = this.world.random.fork("wire");
    this.wire = new MemoryNetwork({
      conditions: {
        delayUs: () => 100 + random.below(400),
        isBlocked: (from, to) => this.#blocked.has(`${from}>${to}`),
      },
    });
  }

  /** A node that knows all addresses before its own. The same name again, once it is closed, is another peer at its address. */
  async start(name: string, options: NodeOptions = {}): Promise<Network> {
    const address = this.#addresses.get(name) ?? `10.0.0.${this.#addresses.size + 1}:7000`;
    const bootstrap = [...this.#addresses.values()].filter((other) => other !== address);
    this.#addresses.set(name, address);
    const env = this.world.env(name);
    const { network = "test", disk, identitySeed = disk?.identitySeed, code, ...given } = options;
    const { storage = disk?.storage(env) ?? memoryStorageFactory(env), ...rest } = given;
    const identity = Identity.fromSeed(identitySeed ?? hashBytes(`${name}/${env.random.uint32()}`));
    const life = { isOver: false };
    this.#lives.set(name, life);
    const started = await createNetwork(
      network,
      { listen: address, insecure: true, bootstrap, ...rest },
      {
        env,
        identity,
        transport: ({ env: own, identity: self, listen }) =>
          this.wire.transport({ env: own, identity: self, address: listen }),
        storage,
        groupCode: code,
        logger: this.#logger(name, life),
      },
    );
    this.#networks.set(name, started);
    return started;
  }

  /** Started one after the other, each in the group with `Counter`; not awaited. */
  async join(
    names: readonly string[],
    options: RoleOptions & OpenOptions = { expect: names.length },
    node: NodeOptions = {},
  ): Promise<Counters[]> {
    const groups: Counters[] = [];
    for (const name of names) {
      const network = await this.start(name, node);
      groups.push(network.groups.join("counter", { ...options, machine: Counter }));
    }
    return groups;
  }

  /** As `join`, and all of them online. */
  async online(names: readonly string[], options?: RoleOptions & OpenOptions): Promise<Counters[]> {
    const groups = await this.join(names, options);
    await Promise.all(groups.map((group) => group.when.online()));
    return groups;
  }

  has(name: string): boolean {
    return this.#networks.has(name);
  }

  network(name: string): Network {
    const network = this.#networks.get(name);
    if (network === undefined) throw new Error(`no node ${name}`);
    return network;
  }

  /** Nothing passes between these, either way, until `heal`; their connections stay open. */
  cut(some: readonly string[], others: readonly string[]): void {
    for (const a of some) {
      for (const b of others) {
        this.#blocked.add(`${this.#addresses.get(a)}>${this.#addresses.get(b)}`);
        this.#blocked.add(`${this.#addresses.get(b)}>${this.#addresses.get(a)}`);
      }
    }
  }

  /** Nothing reaches these from those, until `heal`. */
  deafen(some: readonly string[], others: readonly string[]): void {
    for (const a of some)
      for (const b of others) this.#blocked.add(`${this.#addresses.get(b)}>${this.#addresses.get(a)}`);
  }

  heal(): void {
    this.#blocked.clear();
    this.wire.wake();
  }

  /** The process dies: its peers get resets. */
  kill(name: string): void {
    this.world.node(name).crash();
    this.wire.crash(this.#addresses.get(name) as string);
    const life = this.#lives.get(name);
    if (life !== undefined) life.isOver = true;
    this.#networks.delete(name);
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.world.env("sim").after(ms, resolve));
  }

  /** Looks again every ten milliseconds. Put it into `within`. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await this.sleep(10);
  }

  nowMs(): number {
    return this.world.nowUs / 1000;
  }

  /** Waits for it, at most so long. */
  async within<T>(ms: number, wait: Promise<T>, what = "it"): Promise<T> {
    let cancel: () => void = () => {};
    const timeout = new Promise<never>((_, reject) => {
      const timer = this.world.env("sim").after(ms, () => reject(new Error(`${what} took more than ${ms} ms`)));
      cancel = () => timer.cancel();
    });
    return Promise.race([wait, timeout]).finally(cancel);
  }

  /** Something else to close at the end. */
  onClose(close: () => Promise<void>): void {
    this.#closers.push(close);
  }

  async closeAll(): Promise<void> {
    this.heal();
    await Promise.all(this.#closers.map((close) => close()));
    await Promise.all([...this.#networks.values()].map((network) => network.close()));
  }

  /** A dead process writes nothing more, although its code may still hear that its disk is gone. */
  #logger(node: string, life: { readonly isOver: boolean }): Logger {
    const at =
      (level: keyof Logger) =>
      (fields: object, message: string): void => {
        if (!life.isOver) this.log.push({ node, level, fields: fields as Record<string, unknown>, message });
      };
    return { ...silentLogger, info: at("info"), warn: at("warn"), error: at("error") };
  }
}

/** What a closed network may still wait for: closing links, and timers that are not worth cancelling. */
const QUIET_WITHIN_MS = 30_000;

/**
 * A scenario of whole nodes. All that it started is closed at the end, and nothing may be left to happen then: no timer, no
 * connection, so that a real process could exit.
 */
export function scenario(
  title: string,
  play: (nodes: Nodes) => Promise<void>,
  seeds: readonly number[] = [1, 2],
): void {
  for (const seed of seeds) {
    test(`${title} (seed ${seed})`, async () => {
      const nodes = new Nodes(seed);
      let endedMs = 0;
      await nodes.world.run(async () => {
        await play(nodes);
        await nodes.closeAll();
        endedMs = nodes.nowMs();
      });
      const end = await nodes.world.run(() => new Promise<never>(() => {})).catch((error: unknown) => error);
      ok(end instanceof SimulationError, String(end));
      match(end.message, /nothing is left to happen/);
      ok(nodes.nowMs() - endedMs < QUIET_WITHIN_MS, `still busy ${nodes.nowMs() - endedMs} ms after the close`);
      equal(nodes.wire.connectionCount, 0);
      equal(
        nodes.log
          .filter(({ level }) => level === "error")
          .map(({ message }) => message)
          .join(),
        expectedErrors.get(nodes) ?? "",
      );
    });
  }
}

const expectedErrors = new Map<Nodes, string>();

/** For scenarios in which a node is meant to log an error. */
export function expectErrors(nodes: Nodes, ...messages: readonly string[]): void {
  expectedErrors.set(nodes, messages.join());
}

export const counted = async (group: Counters, consistency: "strong" | "weak" = "weak"): Promise<number> =>
  (await group.query("value", { consistency })).result;

export type { AnyMachine, Group, NoMachine };

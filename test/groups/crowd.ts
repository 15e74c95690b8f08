import type { DirectoryChange, PeerDirectory, PeerEntry } from "../../src/discovery/index.ts";
import { type Env, type Logger, type Options, silentLogger, VirtualWorld } from "../../src/env/index.ts";
import {
  type AnyMachine,
  type Group,
  GroupRegistry,
  type OpenOptions,
  type RoleOptions,
} from "../../src/groups/index.ts";
import { hashBytes, Identity, type PeerId, UniqueId } from "../../src/identity/index.ts";
import { memoryStorageFactory } from "../../src/storage/index.ts";
import { createEndpoint, type Endpoint, MemoryNetwork } from "../../src/transport/index.ts";
import type { Link } from "../../src/wire/index.ts";

const NETWORK = UniqueId.from("crowd");

/** What a node sent to others in its groups. */
export interface Traffic {
  frames: number;
  bytes: number;
}

/** One node: groups over links on a memory network, without gossip, which is not what is looked at here. */
export class CrowdNode {
  readonly id: PeerId;
  readonly groups: GroupRegistry;
  readonly sent: Traffic = { frames: 0, bytes: 0 };
  readonly endpoint: Endpoint;
  readonly name: string;
  readonly address: string;

  constructor(crowd: Crowd, name: string, address: string, logger: Logger) {
    this.name = name;
    const env = crowd.world.env(name);
    const identity = Identity.fromSeed(hashBytes(name));
    this.id = identity.peerId;
    this.address = address;
    const endpoint = createEndpoint({
      env,
      selfId: this.id,
      transport: crowd.wire.transport({ env, identity, address }),
      network: NETWORK,
      secrets: [],
      logger,
      onBug: (cause) => crowd.world.fail(cause),
    });
    this.endpoint = this.#counting(endpoint);
    this.groups = new GroupRegistry({
      env,
      selfId: this.id,
      networkId: NETWORK,
      endpoint: this.endpoint,
      directory: crowd.directoryOf(this, env),
      storage: memoryStorageFactory(env),
      logger,
      probe: undefined,
    });
  }

  #counting(endpoint: Endpoint): Endpoint {
    const count = (link: Link): Link => {
      const send = link.send.bind(link);
      link.send = (kind, payload) => {
        this.sent.frames++;
        this.sent.bytes += payload.length;
        return send(kind, payload);
      };
      return link;
    };
    return Object.assign(Object.create(endpoint) as Endpoint, {
      listen: () => endpoint.listen(),
      close: () => endpoint.close(),
      dial: (...args: Parameters<Endpoint["dial"]>) => endpoint.dial(...args).then(count),
      handle: (...[protocol, handler]: Parameters<Endpoint["handle"]>) =>
        endpoint.handle(protocol, { ...handler, onLink: (link) => handler.onLink(count(link)) }),
    });
  }
}

/** Many nodes on virtual time, each of which learns within 50 ms what others advertise. */
export class Crowd {
  readonly world: VirtualWorld;
  readonly wire: MemoryNetwork;
  readonly nodes: CrowdNode[] = [];
  readonly warnings: string[] = [];
  readonly #entries = new Map<PeerId, PeerEntry>();
  readonly #told = new Map<PeerId, (changes: readonly DirectoryChange[]) => void>();
  #pending: DirectoryChange[] = [];

  constructor(seed: number) {
    this.world = new VirtualWorld({ seed, eventsMax: 200_000_000, virtualMsMax: 3_600_000 });
    const random = this.world.random.fork("wire");
    this.wire = new MemoryNetwork({ conditions: { delayUs: () => 100 + random.below(400) } });
  }

  async start(name: string): Promise<CrowdNode> {
    const { length } = this.nodes;
    const warn = (fields: object, message: string): void => {
      this.warnings.push(`${name}: ${message} ${JSON.stringify(fields)}`);
    };
    const address = `10.${length >> 16}.${(length >> 8) & 255}.${length & 255}:7000`;
    const node = new CrowdNode(this, name, address, { ...silentLogger, warn, error: warn });
    this.nodes.push(node);
    await node.endpoint.listen();
    return node;
  }

  async join<M extends AnyMachine>(
    name: string,
    options: RoleOptions & OpenOptions & Options<{ machine: M }>,
  ): Promise<Group<M>> {
    const node = await this.start(name);
    return node.groups.join("crowd", options) as Group<M>;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.world.env("sim").after(ms, resolve));
  }

  async until(withinMs: number, what: string, condition: () => boolean): Promise<void> {
    for (let left = withinMs; !condition(); left -= 20) {
      if (left <= 0) throw new Error(`${what}: not within ${withinMs} ms`);
      await this.sleep(20);
    }
  }

  run(play: () => Promise<void>): Promise<void> {
    return this.world.run(play);
  }

  /** The process dies. */
  kill(node: CrowdNode): void {
    this.world.node(node.name).crash();
    this.wire.crash(node.address);
    this.#told.delete(node.id);
    const entry = this.#entries.get(node.id);
    this.#entries.delete(node.id);
    if (entry !== undefined) this.#tell({ type: "left", entry });
  }

  isUp({ id }: CrowdNode): boolean {
    return this.#told.has(id);
  }

  directoryOf(node: CrowdNode, env: Env): PeerDirectory {
    const listeners = new Set<(change: DirectoryChange) => void>();
    this.#told.set(node.id, (changes) => {
      env.after(10 + env.random.below(40), () => {
        for (const change of changes) for (const listener of [...listeners]) listener(change);
      });
    });
    const change = (edit: (groups: readonly UniqueId[]) => readonly UniqueId[]): void => {
      const { id } = node;
      const groups = edit(this.#entries.get(id)?.groups ?? []);
      const entry: PeerEntry = {
        network: NETWORK,
        id,
        version: { startMs: 0, updateMs: 0 },
        addresses: [node.address as never],
        tags: [],
        attributes: {},
        groups,
        streams: [],
        tickets: [],
      };
      const isNew = !this.#entries.has(id);
      this.#entries.set(id, entry);
      this.#tell({ type: isNew ? "joined" : "changed", entry });
    };
    const others = (group: UniqueId): PeerEntry[] =>
      [...this.#entries.values()].filter(({ id, groups }) => id !== node.id && groups.includes(group));
    const directory: Partial<PeerDirectory> = {
      selfId: node.id,
      get: (id) => this.#entries.get(id),
      inGroup: (group) => others(group).sort((a, b) => (a.id < b.id ? -1 : 1)),
      onChange: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      advertiseGroup: (group) => change((groups) => [...groups, group]),
      withdrawGroup: (group) => change((groups) => groups.filter((other) => other !== group)),
      isBootstrapped: true,
    };
    // Groups ask it for no more.
    return directory as PeerDirectory;
  }

  /** All that changed in the same 10 ms is told at once. */
  #tell(change: DirectoryChange): void {
    this.#pending.push(change);
    if (this.#pending.length > 1) return;
    this.world.env("sim").after(10, () => {
      const changes = this.#pending;
      this.#pending = [];
      for (const tell of this.#told.values()) tell(changes);
    });
  }
}

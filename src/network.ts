import {
  createDiscovery,
  type Discovery,
  type DiscoveryService,
  issueTickets,
  type Ticket,
} from "./discovery/index.ts";
import {
  type Conditions,
  type Env,
  type Handle,
  type Logger,
  MosaikError,
  mosaikError,
  orAborted,
  realEnv,
  Scope,
  stderrLogger,
  type Wait,
} from "./env/index.ts";
import { type GroupCode, type GroupProbe, GroupRegistry, type GroupStatus, type Groups } from "./groups/index.ts";
import { Identity, type PeerId, UniqueId } from "./identity/index.ts";
import { MetricsRegistry } from "./metrics/index.ts";
import { registerGroupMetrics, registerNetworkMetrics, registerStreamMetrics } from "./network-metrics.ts";
import { type CheckedOptions, checkNetworkOptions, type NetworkOptions } from "./network-options.ts";
import { memoryStorageFactory, openDataDirectory, type StorageFactory } from "./storage/index.ts";
import { StreamRegistry, type Streams } from "./streams/index.ts";
import { createEndpoint, type Endpoint, type Transport, tlsTransport } from "./transport/index.ts";

export interface Network extends Handle {
  readonly id: UniqueId;
  readonly peerId: PeerId;
  readonly discovery: Discovery;
  readonly streams: Streams;
  readonly groups: Groups;
  /** The network's own time, virtual under `mosaik/sim`. */
  readonly clock: { nowMs(): number; sleep(ms: number, options?: Wait): Promise<void> };
  /** `ready`: everything opened so far is online. The one wait that a service needs at start. */
  readonly when: Conditions<"ready">;
  /** Plain JSON for probes, logs and the CLI. `ready` is false from the moment `close` begins. */
  status(): Readonly<{
    ready: boolean;
    peers: number;
    addresses: readonly string[];
    groups: readonly GroupStatus[];
  }>;
  /** Plain JSON of everything inside, for people who look for a cause. `version` grows when its shape changes. */
  inspect(): Readonly<{
    version: number;
    discovery: object;
    links: readonly object[];
    streams: object;
    groups: readonly object[];
  }>;
  /** Prometheus text, collected on call from this network alone. */
  metrics(): string;
}

/** What a node lives in. The simulator gives another one. */
export interface World {
  readonly env: Env;
  readonly identity: Identity;
  readonly transport: (options: { env: Env; identity: Identity; listen: string }) => Transport;
  readonly storage: StorageFactory;
  readonly logger: Logger;
  readonly probe?: GroupProbe | undefined;
  /** For tests of upgrades: as if groups were of older or newer code. */
  readonly groupCode?: GroupCode | undefined;
  /** For tests of renewal: called once, with what makes this node show other tickets from then on. */
  readonly onTickets?: ((change: DiscoveryService["changeTickets"]) => void) | undefined;
  /** Lets go of it all, once the node is gone. */
  readonly close?: (() => Promise<void>) | undefined;
}

/** Without a data directory: a new peer, whose groups are in memory. */
async function realWorld(dataDir: string | undefined): Promise<World> {
  const env = realEnv();
  const common = { env, transport: tlsTransport, logger: stderrLogger() };
  if (dataDir === undefined) {
    const identity = Identity.fromSeed(env.random.bytes(32));
    return { ...common, identity, storage: memoryStorageFactory(env) };
  }
  const directory = await openDataDirectory(env, dataDir);
  try {
    const identity = Identity.fromSeed(await directory.loadOrCreateSecret());
    return { ...common, identity, storage: directory.storage, close: () => directory.close() };
  } catch (error) {
    await directory.close();
    throw error;
  }
}

export const Network = {
  /**
   * Joins a network: with a `dataDir` as the peer that it was before, else as a new one. Resolves once bound, before any peer is found.
   *
   * @param name - who uses the same name, and the same secret, is in the same network
   * @throws `bad-option`, `insecure-listen`, `address-in-use`
   * @throws `too-large` what it tells of itself (tags, attributes, tickets) is above `LIMITS.entryBytesMax`
   * @throws `data-dir-locked` another process, or another network of this one, has the directory
   * @throws `storage-failed` the directory cannot be had, or the identity in it is damaged
   */
  async create(name: string, options: NetworkOptions = {}): Promise<Network> {
    const checked = checkNetworkOptions(name, options, stderrLogger());
    return startNode(name, checked, await realWorld(checked.dataDir));
  },
} as const;

/** As `Network.create`, in a given world. What is kept there is up to it, whatever `dataDir` says. */
export async function createNetwork(name: string, options: NetworkOptions, world: World): Promise<Network> {
  return startNode(name, checkNetworkOptions(name, options, world.logger), world);
}

async function startNode(name: string, options: CheckedOptions, world: World): Promise<Network> {
  try {
    const node = new Node(name, options, await issueTickets(options.tickets), world);
    await node.start();
    return node;
  } catch (error) {
    await world.close?.();
    throw error;
  }
}

/** Builds the subsystems bottom up, and closes them top down. */
class Node implements Network {
  readonly id: UniqueId;
  readonly peerId: PeerId;
  readonly clock: Network["clock"];
  readonly when: Network["when"];
  readonly closed: Promise<MosaikError | undefined>;
  readonly #endpoint: Endpoint;
  readonly #discovery: DiscoveryService;
  readonly #streams: StreamRegistry;
  readonly #groups: GroupRegistry;
  readonly #metrics: MetricsRegistry;
  readonly #scope: Scope;
  readonly #world: World;
  #resolveClosed: (cause: MosaikError | undefined) => void = () => {};
  #closing: Promise<void> | undefined;

  constructor(name: string, options: CheckedOptions, tickets: readonly Ticket[], world: World) {
    const { env, identity, storage, probe } = world;
    const { logger, secrets } = options;
    const onBug = (cause: unknown): void => this.#fail(cause);
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.#world = world;
    this.id = UniqueId.from(name);
    this.peerId = identity.peerId;
    this.#scope = new Scope(env, onBug);
    this.clock = {
      nowMs: () => env.clock.wallMs(),
      sleep: (ms, wait = {}) => this.#scope.sleep(ms, wait.signal),
    };
    this.when = { ready: (wait = {}) => this.#whenReady(wait) };
    this.#endpoint = createEndpoint({
      env,
      selfId: identity.peerId,
      transport: world.transport({ env, identity, listen: options.listen }),
      network: this.id,
      secrets,
      ...(options.advertise === undefined ? {} : { advertise: options.advertise }),
      logger,
      onBug,
    });
    this.#discovery = createDiscovery({
      env,
      identity,
      endpoint: this.#endpoint,
      network: this.id,
      bootstrap: options.bootstrap,
      tags: options.tags,
      attributes: options.attributes,
      tickets,
      logger,
      onFailure: onBug,
    });
    world.onTickets?.(this.#discovery.changeTickets);
    this.#streams = new StreamRegistry({
      env,
      networkId: this.id,
      endpoint: this.#endpoint,
      directory: this.#discovery.directory,
      logger,
      onBug,
    });
    this.#groups = new GroupRegistry({
      env,
      selfId: identity.peerId,
      networkId: this.id,
      endpoint: this.#endpoint,
      directory: this.#discovery.directory,
      storage,
      logger,
      probe,
      code: world.groupCode,
      onJoined: (joined) => registerGroupMetrics(this.#metrics, joined),
    });
    this.#metrics = new MetricsRegistry({ network: UniqueId.short(this.id) });
    registerNetworkMetrics(this.#metrics, { endpoint: this.#endpoint, discovery: this.#discovery });
    registerStreamMetrics(this.#metrics, this.#streams);
  }

  async start(): Promise<void> {
    try {
      await this.#endpoint.listen();
    } catch (error) {
      await this.#endpoint.close();
      throw error;
    }
    this.#discovery.start();
  }

  get discovery(): Discovery {
    return this.#discovery.discovery;
  }
  get streams(): Streams {
    return this.#streams;
  }
  get groups(): Groups {
    return this.#groups;
  }

  status(): ReturnType<Network["status"]> {
    const groups = this.#groups.status();
    return {
      ready: this.#closing === undefined && this.#streams.areOnline && groups.every(({ state }) => state === "online"),
      peers: this.#discovery.discovery.peers().length,
      addresses: this.#endpoint.addresses,
      groups,
    };
  }

  inspect(): ReturnType<Network["inspect"]> {
    const links = [...this.#endpoint.links].map((link) => ({
      peer: link.remoteId,
      address: link.remoteAddress,
      protocol: link.protocol,
      version: link.version,
      isInitiator: link.isInitiator,
      queuedBytes: link.queuedBytes,
    }));
    return {
      version: 1,
      discovery: this.#discovery.inspect(),
      links,
      streams: this.#streams.inspect(),
      groups: this.#groups.inspect(),
    };
  }

  metrics(): string {
    return this.#metrics.text();
  }

  /** Leadership left in order, departure announced, links flushed. */
  close({ signal }: Wait = {}): Promise<void> {
    this.#closing ??= this.#close(undefined);
    return orAborted(this.#closing, signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #whenReady({ signal }: Wait): Promise<void> {
    if (this.#closing !== undefined) throw mosaikError("closed", "the network is closed");
    const groups = this.#groups.members.map(({ member }) =>
      member.conditions.until(() => (member.isOnline ? true : undefined), signal),
    );
    await Promise.all([this.#streams.whenOnline(signal), ...groups]);
  }

  #fail(cause: unknown): void {
    const error = MosaikError.is(cause)
      ? cause
      : mosaikError("closed", "the network stopped, because of a bug", { cause });
    this.#closing ??= this.#close(error);
  }

  async #close(cause: MosaikError | undefined): Promise<void> {
    await Promise.all([this.#streams.close(), this.#groups.close()]);
    await this.#discovery.close();
    await this.#endpoint.close();
    await this.#scope.close(mosaikError("closed", "the network is closed"));
    await this.#world.close?.();
    this.#resolveClosed(cause);
  }
}

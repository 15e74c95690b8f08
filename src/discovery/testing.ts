import { type Env, LIMITS, type Logger, silentLogger, VirtualWorld } from "../env/index.ts";
import { Identity, type PeerId, UniqueId } from "../identity/index.ts";
import { createEndpoint, type Endpoint, MemoryNetwork, type PeerAddress } from "../transport/index.ts";
import { CLOSE, type Link } from "../wire/index.ts";
import { signDeparture, signEntry } from "./entry.ts";
import { DISCOVERY_PROTOCOL, encodeOpening } from "./messages.ts";
import { createDiscovery, type DiscoveryService } from "./service.ts";
import type { Settings } from "./settings.ts";
import type { Departure, PeerEntry, SignedEntry } from "./types.ts";

/** For tests: a network, and peers whose keys are numbered. */
export const NETWORK = UniqueId.from("discovery tests");

const identities = new Map<number, Identity>();

export function identityOf(number: number): Identity {
  let identity = identities.get(number);
  if (identity === undefined) {
    identity = Identity.fromSeed(new Uint8Array(32).fill(number & 0xff).fill(number >>> 8, 16));
    identities.set(number, identity);
  }
  return identity;
}

export function entryOf(number: number, change: Partial<PeerEntry> = {}): PeerEntry {
  return {
    network: NETWORK,
    id: identityOf(number).peerId,
    version: { startMs: 1_000, updateMs: 1_000 },
    addresses: ["127.0.0.1:7000"],
    tags: [],
    attributes: {},
    groups: [],
    streams: [],
    tickets: [],
    ...change,
  };
}

export function signedOf(number: number, change: Partial<PeerEntry> = {}): SignedEntry {
  return signEntry(entryOf(number, change), identityOf(number));
}

export function signedAt(number: number, startMs: number, updateMs: number, tags: readonly string[] = []): SignedEntry {
  return signedOf(number, { version: { startMs, updateMs }, tags });
}

export const idOf = (number: number): PeerId => identityOf(number).peerId;

export function departureOf(number: number, startMs: number): Departure {
  return signDeparture(NETWORK, startMs, identityOf(number));
}

// ── Nodes on a memory network ──

export interface NodeInit {
  readonly bootstrap?: readonly string[];
  readonly identity?: Identity;
  readonly network?: UniqueId;
  readonly address?: string;
  readonly startMs?: number;
  readonly tags?: readonly string[];
  readonly settings?: Partial<Settings>;
}

export interface Node extends DiscoveryService {
  readonly id: PeerId;
  readonly name: string;
  readonly address: string;
  readonly env: Env;
  readonly endpoint: Endpoint;
  readonly warnings: string[];
}

/** A virtual world with discovery alone on a memory network. */
export class Bench {
  readonly world: VirtualWorld;
  readonly wire: MemoryNetwork;
  readonly blocked = new Set<string>();
  /** What is sent from or to this address takes so much longer. */
  readonly farUs = new Map<string, number>();

  constructor(seed: number) {
    this.world = new VirtualWorld({ seed });
    this.wire = new MemoryNetwork({
      conditions: {
        delayUs: (from, to) => {
          const farUs = (this.farUs.get(from) ?? 0) + (this.farUs.get(to) ?? 0);
          return 200 + farUs + this.world.random.below(800);
        },
        isBlocked: (from, to) => this.blocked.has(from) || this.blocked.has(to),
      },
    });
  }

  async open(number: number, init: NodeInit = {}): Promise<Node> {
    const name = `n${number}`;
    const env = this.world.env(name);
    const { identity = identityOf(number), network = NETWORK, address = `${name}:1` } = init;
    const warnings: string[] = [];
    const quiet = (): void => {};
    const logger: Logger = { debug: quiet, info: quiet, warn: (_, text) => warnings.push(text), error: quiet };
    const onFailure = (cause: unknown): void => this.world.fail(cause);
    const endpoint = this.#endpoint({ env, identity, network, address, logger });
    const service = createDiscovery({
      env,
      identity,
      endpoint,
      network,
      logger,
      bootstrap: init.bootstrap ?? [],
      tags: init.tags ?? [],
      attributes: {},
      ...(init.startMs === undefined ? {} : { startMs: init.startMs }),
      settings: init.settings ?? {},
      onFailure,
    });
    await endpoint.listen();
    service.start();
    return Object.assign(service, { id: identity.peerId, name, address, env, endpoint, warnings });
  }

  /** A link of somebody who has a key, and is no node: it says what the test wants. */
  async stranger(number: number, to: Node, protocol = DISCOVERY_PROTOCOL): Promise<Link> {
    const env = this.world.env(`n${number}`);
    const quiet = (): void => {};
    const logger: Logger = { debug: quiet, info: quiet, warn: quiet, error: quiet };
    const identity = identityOf(number);
    const endpoint = this.#endpoint({ env, identity, network: NETWORK, address: `n${number}:1`, logger });
    const payload = (): Uint8Array => encodeOpening(env.clock.wallMs());
    endpoint.handle(protocol, {
      frameBytesMax: LIMITS.discoveryFrameBytesMax,
      versionMin: 1,
      versionMax: 1,
      features: 0,
      accept: () => ({ refuse: CLOSE.overloaded, reason: "a stranger takes no links" }),
      onLink: quiet,
    });
    const { signal } = new AbortController();
    const target = { id: to.id, addresses: [to.address] };
    const link = await endpoint.dial(target, protocol, { signal, payload });
    link.start({ onFrame: quiet, onClose: quiet });
    return link;
  }

  /** Whoever dials it with this protocol gets this answer to each frame. */
  async liar(number: number, protocol: string, answer: (link: Link) => void): Promise<PeerAddress> {
    const env = this.world.env(`n${number}`);
    const [identity, address] = [identityOf(number), `n${number}:1`];
    const endpoint = this.#endpoint({ env, identity, network: NETWORK, address, logger: silentLogger });
    endpoint.handle(protocol, {
      frameBytesMax: LIMITS.discoveryFrameBytesMax,
      versionMin: 1,
      versionMax: 1,
      features: 0,
      accept: () => ({ payload: new Uint8Array(0) }),
      onLink: (link) => link.start({ onFrame: () => answer(link), onClose: () => {} }),
    });
    await endpoint.listen();
    return { id: identity.peerId, addresses: [address] };
  }

  #endpoint(init: {
    readonly env: Env;
    readonly identity: Identity;
    readonly network: UniqueId;
    readonly address: string;
    readonly logger: Logger;
  }): Endpoint {
    const { env, identity, network, address, logger } = init;
    const transport = this.wire.transport({ env, identity, address });
    const selfId = identity.peerId;
    const onBug = (cause: unknown): void => this.world.fail(cause);
    return createEndpoint({ env, selfId, transport, network, secrets: [], logger, onBug });
  }

  /** As a process that is killed. */
  crash(node: Node): void {
    this.world.node(node.name).crash();
    this.wire.crash(node.address);
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.world.env("sim").after(ms, resolve));
  }

  get nowMs(): number {
    return this.world.nowUs / 1_000;
  }
}

/** A test under three seeds. */
export function underSeeds(body: (bench: Bench) => Promise<void>): () => Promise<void> {
  return async () => {
    for (const seed of [1, 2, 3]) {
      const bench = new Bench(seed);
      await bench.world.run(() => body(bench));
    }
  };
}

export const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);
export const found = (nodes: readonly Node[], minimumOf: number): Promise<unknown> =>
  Promise.all(nodes.map((node) => node.discovery.when.found({ minimumOf })));
export const idsOf = (node: Node): PeerId[] => node.discovery.peers().map((peer) => peer.id);

/** The next event of this type about this peer. */
export async function event(node: Node, type: "joined" | "changed" | "left", id: PeerId): Promise<void> {
  for await (const item of node.discovery.events()) if (item.type === type && item.peer.id === id) return;
}

import type { Env, Logger } from "../env/index.ts";
import type { Identity, UniqueId } from "../identity/index.ts";
import type { Endpoint } from "../transport/index.ts";
import type { DiscoveryCounters } from "./counters.ts";
import { Directory } from "./directory.ts";
import { type Discovery, PublicDiscovery } from "./discovery.ts";
import { Driver } from "./driver.ts";
import { LocalEntry } from "./local.ts";
import { checkAttributes, checkBootstrap, checkTags } from "./options.ts";
import { RoundTrips } from "./round-trips.ts";
import { makeSettings, type Settings } from "./settings.ts";
import { checkTickets } from "./tickets.ts";
import type { PeerDirectory, Ticket } from "./types.ts";

export interface DiscoveryOptions {
  readonly env: Env;
  readonly identity: Identity;
  /** Not listening yet: discovery registers its protocol. */
  readonly endpoint: Endpoint;
  readonly network: UniqueId;
  /** `host:port` and `<peer-id>@host:port`. */
  readonly bootstrap: readonly string[];
  readonly tags: readonly string[];
  readonly attributes: Readonly<Record<string, string | undefined>>;
  /** Default: none. */
  readonly tickets?: readonly Ticket[];
  readonly logger: Logger;
  /** Of this life, on the wall clock. Default: now. Must grow with each restart under the same key. */
  readonly startMs?: number;
  readonly settings?: Partial<Settings>;
  /** A bug of ours: the owner decides. Default: the logger's `error`. */
  readonly onFailure?: (cause: unknown) => void;
}

export interface DiscoveryService {
  /** Once the endpoint listens: its addresses are told, and bootstrap addresses dialled. */
  start(): void;
  /** For the layers above. */
  readonly directory: PeerDirectory;
  /** For users. */
  readonly discovery: Discovery;
  readonly counters: Readonly<DiscoveryCounters>;
  /** Open discovery links. */
  readonly neighbourCount: number;
  /** Shows these tickets instead of those before, in one signed update. @throws `bad-option`, `too-large`; nothing changed then */
  changeTickets(tickets: readonly Ticket[]): void;
  /** Announces the departure, flushes, closes the links, ends all waits. Ends within a second. Idempotent. */
  close(): Promise<void>;
  /** Plain JSON, for people and tests. */
  inspect(): object;
}

/** @throws `bad-option`, `too-large`: at once */
export function createDiscovery(options: DiscoveryOptions): DiscoveryService {
  const { env, identity, endpoint, network, logger } = options;
  const bootstrap = checkBootstrap(options.bootstrap);
  const content = {
    tags: checkTags(options.tags),
    attributes: checkAttributes(options.attributes),
    tickets: checkTickets(options.tickets),
  };
  const startMs = options.startMs ?? env.clock.wallMs();
  const local = new LocalEntry({ identity, network, startMs, content });
  const onFailure = options.onFailure ?? ((cause: unknown) => logger.error({ cause }, "discovery failed"));
  const roundTrips = new RoundTrips({
    env,
    logger,
    endpoint,
    entries: () => driver.catalog.entries(),
    entryOf: (id) => driver.catalog.get(id),
    onMeasured: (entry) => directory.tell({ type: "changed", entry }),
    onFailure,
  });
  const directory = new Directory({ local, roundTrips, driver: () => driver });
  const driver = new Driver({
    env,
    logger,
    endpoint,
    identity,
    network,
    local,
    bootstrap,
    settings: makeSettings(options.settings),
    onChange: (change) => {
      roundTrips.onChange(change);
      directory.tell(change);
    },
    onSelfChange: () => directory.tellSelf(),
    onFailure,
  });
  const discovery = new PublicDiscovery({ local, driver, directory });
  return {
    start: () => driver.start(),
    directory,
    discovery,
    counters: driver.counters,
    get neighbourCount() {
      return driver.links.size;
    },
    changeTickets: (tickets) => driver.changeLocal({ tickets: checkTickets(tickets) }),
    close: async () => {
      const closing = Promise.all([driver.close(), roundTrips.close()]);
      discovery.close();
      await closing;
    },
    inspect: () => inspect(driver, local, roundTrips),
  };
}

function inspect(driver: Driver, local: LocalEntry, roundTrips: RoundTrips): object {
  const { tickets, ...self } = local.entry;
  return {
    version: 1,
    self: { ...self, tickets: tickets.length },
    peers: driver.catalog.entries().map(({ tickets, ...entry }) => ({
      ...entry,
      tickets: tickets.length,
      rttMs: roundTrips.of(entry.id) ?? null,
    })),
    keyConflict: driver.keyConflict ?? null,
    tombstones: driver.catalog.tombstones,
    neighbours: driver.links.all().map((neighbour) => ({
      peer: neighbour.id,
      address: neighbour.link.remoteAddress,
      isInitiator: neighbour.link.isInitiator,
      pending: neighbour.pending.size,
      queuedBytes: neighbour.link.queuedBytes,
    })),
    bootstrap: driver.sources.inspect(),
    dials: driver.dialer.inspect(),
    roundTrips: roundTrips.inspect(),
    counters: { ...driver.counters },
  };
}

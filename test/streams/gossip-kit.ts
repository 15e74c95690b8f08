import { DISCOVERY_PROTOCOL, encodeNews, FRAME, signDeparture } from "../../src/discovery/index.ts";
import { encodeOpening } from "../../src/discovery/messages.ts";
import { LIMITS, silentLogger } from "../../src/env/index.ts";
import { Identity } from "../../src/identity/index.ts";
import type { SimulatedNode, Simulation } from "../../src/sim/simulation.ts";
import { createEndpoint, type MemoryNetwork } from "../../src/transport/index.ts";
import { CLOSE } from "../../src/wire/index.ts";

// For tests alone: gossip that says of a peer that it is gone, while all its other links live.

const NOWHERE = "10.9.9.9:9";

/** The wire of gossip, of all nodes, as it can be cut without the other protocols. Make it before the nodes. */
export class GossipWire {
  readonly #connections = new Set<ReturnType<MemoryNetwork["connect"]>>();
  #isCut = false;

  constructor({ wire }: Simulation) {
    const connect = wire.connect.bind(wire);
    wire.connect = (dialler, to, protocol) => {
      if (protocol !== DISCOVERY_PROTOCOL) return connect(dialler, to, protocol);
      const connection = connect(dialler, this.#isCut ? NOWHERE : to, protocol);
      this.#connections.add(connection);
      return connection;
    };
  }

  /** Connections break, and no new ones come to be: after ten seconds all neighbours are out of reach, and leave each other's catalogs. */
  cut(): void {
    this.#isCut = true;
    for (const connection of this.#connections) {
      for (const end of [connection, connection.peer]) end.breakDown(new Error("gossip is cut"));
    }
    this.#connections.clear();
  }

  heal(): void {
    this.#isCut = false;
  }
}

/** Somebody passes on to `host` that `peer` has left, in that one's own name: its key was used elsewhere, by a process that is closed now. */
export async function tellOfDeparture(simulation: Simulation, host: SimulatedNode, peer: SimulatedNode): Promise<void> {
  const env = simulation.world.env("messenger");
  const identity = Identity.fromSeed(new Uint8Array(32).fill(7));
  const network = host.network.id;
  const endpoint = createEndpoint({
    env,
    selfId: identity.peerId,
    transport: simulation.wire.transport({ env, identity, address: "10.7.7.7:7" }),
    network,
    secrets: [],
    logger: silentLogger,
    onBug: (cause) => simulation.world.fail(cause),
  });
  endpoint.handle(DISCOVERY_PROTOCOL, {
    frameBytesMax: LIMITS.discoveryFrameBytesMax,
    versionMin: 1,
    versionMax: 1,
    features: 0,
    accept: () => ({ refuse: CLOSE.overloaded, reason: "a messenger takes no links" }),
    onLink: () => {},
  });
  const { signal } = new AbortController();
  const payload = (): Uint8Array => encodeOpening(env.clock.wallMs());
  const link = await endpoint.dial({ id: host.peerId, addresses: [host.address] }, DISCOVERY_PROTOCOL, {
    signal,
    payload,
  });
  link.start({ onFrame: () => {}, onClose: () => {} });
  const departure = signDeparture(network, env.clock.wallMs(), Identity.fromSeed(peer.disk.identitySeed));
  link.send(FRAME.news, encodeNews([{ type: "departure", ageMs: 0, departure }]));
  await link.close(CLOSE.success, "said all");
}

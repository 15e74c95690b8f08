import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { createDiscovery, type DiscoveryOptions, type DiscoveryService } from "../../src/discovery/index.ts";
import { type Logger, realEnv, silentLogger } from "../../src/env/index.ts";
import { Identity, Secret, UniqueId } from "../../src/identity/index.ts";
import { createEndpoint, type Endpoint, tlsTransport } from "../../src/transport/index.ts";

const env = realEnv();
const NETWORK = UniqueId.from("discovery end to end");

interface Node extends DiscoveryService {
  readonly endpoint: Endpoint;
  readonly identity: Identity;
  readonly address: string;
  stop(): Promise<void>;
}

type NodeInit = Partial<DiscoveryOptions> & { readonly listen?: string; readonly secret?: string };

async function open(init: NodeInit = {}): Promise<Node> {
  const { network = NETWORK, identity = Identity.fromSeed(env.random.bytes(32)), listen, secret } = init;
  const onFailure = (cause: unknown): void => {
    throw cause;
  };
  const endpoint = createEndpoint({
    env,
    selfId: identity.peerId,
    transport: tlsTransport({ env, identity, listen: listen ?? "127.0.0.1:0" }),
    network,
    secrets: secret === undefined ? [] : [new Secret(secret)],
    logger: silentLogger,
    onBug: onFailure,
  });
  const base = { bootstrap: [], tags: [], attributes: {}, logger: silentLogger, onFailure };
  const service = createDiscovery({ ...base, ...init, env, identity, endpoint, network });
  await endpoint.listen();
  service.start();
  const stop = async (): Promise<void> => {
    await service.close();
    await endpoint.close();
  };
  return Object.assign(service, { endpoint, identity, address: endpoint.addresses[0] ?? "", stop });
}

/** Runs with nodes that are stopped whatever happens. */
function story(name: string, body: (start: (init?: NodeInit) => Promise<Node>) => Promise<void>): void {
  test(name, { timeout: 30_000 }, async () => {
    const nodes: Node[] = [];
    try {
      await body(async (init) => {
        const node = await open(init);
        nodes.push(node);
        return node;
      });
    } finally {
      await Promise.all(nodes.map((node) => node.stop()));
    }
  });
}

const found = (nodes: readonly Node[], minimumOf: number): Promise<unknown> =>
  Promise.all(nodes.map((node) => node.discovery.when.found({ minimumOf })));

async function untilLeft(node: Node, gone: Node): Promise<void> {
  for await (const event of node.discovery.events()) {
    if (event.type === "left" && event.peer.id === gone.identity.peerId) return;
  }
}

// Spec network, scenario 13.
story("ten nodes over TLS that name one bootstrap all know all", async (start) => {
  const first = await start();
  const bootstrap = [first.address];
  const others = await Promise.all(Array.from({ length: 9 }, () => start({ bootstrap })));
  await found([first, ...others], 9);
  for (const node of others) assert.equal(node.directory.isBootstrapped, true);
});

// Scenario 15.
story("two networks at one address book do not mix", async (start) => {
  const other = UniqueId.from("another network");
  const a = await start();
  const b = await start({ network: other });
  const bootstrap = [a.address, b.address];
  const more = await Promise.all([
    start({ bootstrap }),
    start({ bootstrap, network: other }),
    start({ bootstrap, network: other }),
  ]);
  await Promise.all([found([a], 1), found([b], 2), found(more.slice(0, 1), 1), found(more.slice(1), 2)]);
  assert.deepEqual(
    [a, b, ...more].map((node) => node.discovery.peers().length),
    [1, 2, 1, 2, 2],
  );
});

// Scenario 17.
story("a node that closes has left, for the two others", async (start) => {
  const first = await start();
  const bootstrap = [`${first.identity.peerId}@${first.address}`];
  const others = await Promise.all([start({ bootstrap }), start({ bootstrap })]);
  const nodes = [first, ...others];
  await found(nodes, 2);
  const [gone] = others;
  assert.ok(gone !== undefined);
  const told = nodes.filter((node) => node !== gone).map((node) => untilLeft(node, gone));
  await gone.stop();
  await Promise.all(told);
});

story("a restart with the same key at another port is found in place of its former life", async (start) => {
  const ada = await start();
  const identity = Identity.fromSeed(env.random.bytes(32));
  const bob = await start({ identity, bootstrap: [ada.address], tags: ["first"] });
  await found([ada], 1);
  await bob.stop();
  const again = await start({ identity, bootstrap: [ada.address], tags: ["second"] });
  const [peer] = await ada.discovery.when.found({ tags: "second" });
  assert.deepEqual(peer?.addresses, [again.address]);
  assert.equal(ada.discovery.peers().length, 1);
});

story("a bootstrap that is down is reported once, and found when it is up", async (start) => {
  const scout = await start();
  const listen = scout.address;
  await scout.stop();
  let warn: (text: string) => void = () => {};
  const warned = new Promise<string>((resolve) => {
    warn = resolve;
  });
  const logger: Logger = { ...silentLogger, warn: (_, text) => warn(text) };
  const bob = await start({ bootstrap: [listen], logger });
  assert.match(await warned, /cannot be reached/);
  assert.equal(bob.directory.isBootstrapped, false);
  const ada = await start({ listen });
  await found([ada, bob], 1);
  assert.equal(bob.directory.isBootstrapped, true);
});

story("whoever does not know the secret is not listed", async (start) => {
  const secret = "a secret of the network";
  const ada = await start({ secret });
  const eve = await start({ secret: "another secret, guessed", bootstrap: [ada.address] });
  const bob = await start({ secret, bootstrap: [ada.address, eve.address] });
  await found([ada, bob], 1);
  await assert.rejects(eve.discovery.dial(ada.address), { code: "dial-failed" });
  for (const node of [ada, bob]) {
    assert.deepEqual(node.discovery.peers({ where: (peer) => peer.id === eve.identity.peerId }), []);
  }
  assert.deepEqual(eve.discovery.peers(), []);
});

story("garbage on the socket closes that connection, and nothing else", async (start) => {
  const ada = await start();
  const bob = await start({ bootstrap: [ada.address] });
  await found([ada, bob], 1);
  const [host, port] = ada.address.split(":");
  const socket = connect({ host, port: Number(port) });
  socket.on("error", () => {});
  socket.write(env.random.bytes(4_096));
  await once(socket, "close");
  // And on an open link: one byte says that there is news, and then there is none.
  for (const link of bob.endpoint.links) link.send(16, new Uint8Array([1]));
  bob.discovery.advertise({ addTags: "still here" });
  await ada.discovery.when.found({ tags: "still here" });
  assert.equal(ada.counters.badFrames, 1);
});

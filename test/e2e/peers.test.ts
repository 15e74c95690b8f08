// What a network tells of itself, and what its peers find out, over TLS.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Network, type NetworkOptions, type Ticket, UniqueId } from "../../src/index.ts";

const within = (): { signal: AbortSignal } => ({ signal: AbortSignal.timeout(20_000) });

const open: Network[] = [];
after(() => Promise.all(open.map((network) => network.close())));

async function start(options: NetworkOptions = {}): Promise<Network> {
  const network = await Network.create("e2e peers", { logger: false, ...options });
  open.push(network);
  return network;
}

const ticket = (text: string): Ticket => ({ class: UniqueId.from("e2e"), data: Buffer.from(text) });

interface Inspected {
  readonly self: { readonly tickets: number };
  readonly peers: readonly { readonly tickets: number }[];
}
const inspected = (network: Network): Inspected => network.inspect().discovery as Inspected;

test("tickets, given or made at the start, are shown to all peers", async () => {
  let calls = 0;
  const make = async (): Promise<Ticket> => {
    calls += 1;
    return ticket("two");
  };
  const ada = await start({ tickets: [ticket("one"), make] });
  assert.equal(calls, 1);
  assert.equal(inspected(ada).self.tickets, 2);
  const bob = await start({ bootstrap: ada.status().addresses });
  await bob.discovery.when.found(within());
  assert.deepEqual(
    inspected(bob).peers.map(({ tickets }) => tickets),
    [2],
  );
  assert.equal(calls, 1);
});

test("round trips are measured once somebody asks", async () => {
  const ada = await start({ secret: "a secret for the end-to-end tests" });
  const bob = await start({ secret: "a secret for the end-to-end tests", bootstrap: ada.status().addresses });
  await bob.discovery.when.found(within());
  assert.deepEqual(
    bob.discovery.peers().map(({ rttMs }) => rttMs),
    [undefined],
  );
  const [peer] = await bob.discovery.when.found({ maxRttMs: 5_000, ...within() });
  assert.equal(peer?.id, ada.peerId);
  assert.ok(peer.rttMs !== undefined && peer.rttMs > 0 && peer.rttMs <= 5_000);
  assert.equal(bob.discovery.self.rttMs, 0);
});

test("a ticket that cannot be made ends the start, and leaves the data directory free", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "mosaik-peers-"));
  try {
    const cause = new Error("no key");
    const failing = (): Ticket => {
      throw cause;
    };
    await assert.rejects(start({ dataDir, tickets: failing }), { code: "bad-option", cause });
    const large = (): Ticket => ({ class: UniqueId.from("e2e"), data: new Uint8Array(8 * 1024) });
    const tickets = [large(), { ...large(), data: new Uint8Array(8 * 1024).fill(1) }];
    await assert.rejects(start({ dataDir, tickets }), { code: "too-large" });
    const network = await start({ dataDir, tickets: large });
    await network.close();
  } finally {
    await rm(dataDir, { recursive: true });
  }
});

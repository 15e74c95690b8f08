import { deepEqual, equal, notEqual, ok } from "node:assert/strict";
import { after, describe, it } from "node:test";
import { type Group, type Logger, Network, type NetworkOptions } from "../../src/index.ts";

// Scenarios 1, 3 and 17 of the specification of groups, over real TLS. `test/groups/scenarios.test.ts` has all of them on virtual time.

// Real sockets and real time: each wait has its own deadline, far beyond what it takes.
const DEADLINE_MS = 30_000;
const within = (): { signal: AbortSignal } => ({ signal: AbortSignal.timeout(DEADLINE_MS) });

const open: Network[] = [];
after(() => Promise.all(open.map((network) => network.close())));

/** Warnings of refused bonds: how to wait for them, and what they say. */
interface Refusals {
  readonly logger: Logger;
  readonly first: Promise<Record<string, unknown>>;
  readonly all: Record<string, unknown>[];
}

function refusals(): Refusals {
  const all: Record<string, unknown>[] = [];
  let resolve: (fields: Record<string, unknown>) => void = () => {};
  const first = new Promise<Record<string, unknown>>((settle) => {
    resolve = settle;
  });
  const ignore = (): void => {};
  const warn = (fields: object, message: string): void => {
    if (message !== "no bond with a member") return;
    all.push(fields as Record<string, unknown>);
    resolve(fields as Record<string, unknown>);
  };
  return { logger: { debug: ignore, info: ignore, warn, error: ignore }, first, all };
}

async function start(name: string, options: NetworkOptions = {}): Promise<Network> {
  const network = await Network.create(name, { logger: false, listen: "127.0.0.1:0", ...options });
  open.push(network);
  return network;
}

/** Nodes that know the first one's address. */
async function nodes(name: string, count: number): Promise<Network[]> {
  const first = await start(name);
  const rest = Array.from({ length: count - 1 }, () => start(name, { bootstrap: first.status().addresses }));
  return [first, ...(await Promise.all(rest))];
}

const connected = ({ members }: Group): string[] =>
  members.filter(({ isConnected }) => isConnected).map(({ id }) => id);

describe("scenarios over TLS", () => {
  it("1 members_can_see_each_other: each is bonded with all others of its groups, and with nobody else", async () => {
    const [n0, n1, n2, n3] = (await nodes("e2e scenario 1", 4)) as [Network, Network, Network, Network];
    const groups: readonly (readonly [string, readonly Network[]])[] = [
      ["group1", [n0, n1]],
      ["group2", [n0, n2, n3]],
      ["group3", [n1, n2]],
    ];
    const joined = groups.map(([name, networks]) =>
      networks.map((network) => network.groups.join(name, { expect: networks.length })),
    );
    await Promise.all(joined.flat().map((group) => group.when.online(within())));
    for (const [i, [name, networks]] of groups.entries()) {
      for (const group of joined[i] ?? []) {
        // A follower may be online before its last bond with another follower is up.
        while (connected(group).length < networks.length) await n0.clock.sleep(20, within());
        deepEqual(connected(group), networks.map(({ peerId }) => peerId).sort(), name);
      }
    }
  });

  it("3 is_elected: alone, joined without an election, replaced when its network drops, joined again", async () => {
    const n0 = await start("e2e scenario 3");
    const g0 = n0.groups.join("election", { expect: 1 });
    equal(g0.leader, undefined);
    equal(await g0.when.leaderElected(within()), n0.peerId);
    await g0.when.isLeader(within());
    const { term } = g0;

    const bootstrap = n0.status().addresses;
    const later = [await start("e2e scenario 3", { bootstrap }), await start("e2e scenario 3", { bootstrap })];
    const followers = later.map((network) => network.groups.join("election", { expect: 1 }));
    for (const group of followers) await group.when.leaderIs(n0.peerId, within());
    equal(g0.term, term, "nobody asked for an election");
    const votersOf = ({ members }: Group): number => members.filter(({ role }) => role === "voter").length;
    const { signal } = within();
    while (followers.some((group) => votersOf(group) < 3)) await n0.clock.sleep(20, { signal });

    const changed = Promise.all(followers.map((group) => group.when.leaderChanged(within())));
    await n0.close();
    const [one, other] = await changed;
    equal(one, other);
    notEqual(one, n0.peerId);
    await Promise.all(followers.map((group) => group.when.online(within())));
    equal(followers.filter(({ isLeader }) => isLeader).length, 1);

    const n3 = await start("e2e scenario 3", { bootstrap: later.flatMap((network) => network.status().addresses) });
    equal(await n3.groups.join("election", { expect: 1 }).when.leaderElected(within()), one);
  });

  it("17 mismatched, with a secret on one side: no bond, and both sides say why", async () => {
    const secret = "a secret of the group";
    const [here, there] = [refusals(), refusals()];
    const n0 = await start("e2e scenario 17", { logger: here.logger });
    const n1 = await start("e2e scenario 17", { logger: there.logger, bootstrap: n0.status().addresses });
    const [g0, g1] = [n0.groups.join("store", { expect: 2, secret }), n1.groups.join("store", { expect: 2 })];
    equal(g0.id, g1.id, "the name alone is the identity");
    for (const { code } of await Promise.all([here.first, there.first])) equal(code, 30_405);
    for (const [group, network] of [
      [g0, n0],
      [g1, n1],
    ] as const) {
      deepEqual([connected(group), group.leader], [[network.peerId], undefined]);
    }
    ok(!JSON.stringify([here.all, there.all]).includes(secret));
  });
});

import { deepEqual, equal, notEqual, ok, rejects } from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { defineMachine, type Group, Network, type NetworkOptions } from "../../src/index.ts";

// Real sockets and real time: each wait has its own deadline, far beyond what it takes.
const DEADLINE_MS = 20_000;
const within = (): { signal: AbortSignal } => ({ signal: AbortSignal.timeout(DEADLINE_MS) });

const Counter = defineMachine("counter", {
  state: () => ({ value: 0 }),
  commands: {
    add: (state, by: number) => {
      state.value += by;
      return state.value;
    },
  },
  queries: { value: (state) => state.value },
});
type Counters = Group<typeof Counter>;

const open: Network[] = [];
after(() => Promise.all(open.map((network) => network.close())));

async function start(options: NetworkOptions = {}): Promise<Network> {
  const network = await Network.create("e2e groups", { logger: false, ...options });
  open.push(network);
  return network;
}

/** Members of one group over TLS on loopback, online. */
async function members(count: number, options: NetworkOptions = {}): Promise<{ nodes: Network[]; groups: Counters[] }> {
  const nodes: Network[] = [];
  for (let i = 0; i < count; i++) {
    nodes.push(await start({ listen: "127.0.0.1:0", bootstrap: nodes[0]?.status().addresses ?? [], ...options }));
  }
  const groups = nodes.map((node) => node.groups.join("counter", { expect: count, machine: Counter }));
  await Promise.all(nodes.map((node) => node.when.ready(within())));
  return { nodes, groups };
}

describe("groups over TLS", () => {
  it("three members form a group, and each executes and reads; the leader closes, and the others go on", async () => {
    const { nodes, groups } = await members(3, { secret: "a secret for the end-to-end tests" });
    for (const [i, group] of groups.entries()) {
      deepEqual(await group.execute({ add: 1 }, within()), { position: i + 1, result: i + 1 });
    }
    for (const group of groups) deepEqual(await group.query("value", within()), { position: 3, result: 3 });

    const leads = groups.findIndex(({ isLeader }) => isLeader);
    const rest = groups.filter((_, i) => i !== leads);
    const changed = Promise.all(rest.map((group) => group.when.leaderChanged(within())));
    // Under load: what is on its way is applied once.
    const calls = Array.from({ length: 100 }, (_, i) => rest[i % 2]?.execute({ add: 1 }, within()));
    await nodes[leads]?.close();
    const [one, other] = await changed;
    equal(one, other);
    await Promise.all(calls);
    for (const group of rest) deepEqual(await group.query("value", within()), { position: 103, result: 103 });
    equal(await nodes[leads]?.closed, undefined);
  });

  it("a lone founder executes; one that joins later follows", async () => {
    const ada = await start();
    const group = ada.groups.join("lone", { expect: 1, machine: Counter });
    await ada.when.ready(within());
    equal(group.isLeader, true);
    deepEqual(await group.execute({ add: 5 }, within()), { position: 1, result: 5 });
    const bob = await start({ bootstrap: ada.status().addresses });
    const follower = bob.groups.join("lone", { expect: 1, machine: Counter });
    await follower.when.online(within());
    deepEqual(await follower.execute({ add: 5 }, within()), { position: 2, result: 10 });
  });

  it("garbage on the port disturbs nobody", async () => {
    const { nodes, groups } = await members(2);
    const [host, port] = nodes[0]?.status().addresses[0]?.split(":") ?? [];
    for (const bytes of [Buffer.alloc(70_000, 0xff), Buffer.from("GET / HTTP/1.1\r\n\r\n"), Buffer.from([22, 3, 1])]) {
      const socket = connect({ host: host ?? "", port: Number(port) });
      const closed = new Promise((resolve) => socket.on("close", resolve));
      // A reset is an answer too.
      socket.on("error", () => {});
      socket.end(bytes);
      socket.resume();
      await closed;
    }
    deepEqual(await groups[1]?.execute({ add: 2 }, within()), { position: 1, result: 2 });
  });
});

describe("processes", () => {
  it("a leader that is killed is replaced, what was acknowledged stays, and closed networks let their processes exit", async () => {
    const path = fileURLToPath(new URL("./group-process.ts", import.meta.url));
    const ada = await start();
    const address = ada.status().addresses[0] as string;
    const children = [1, 2, 3].map(() => fork(path, [address], { execArgv: ["--import", "tsx"], stdio: "inherit" }));
    const group = ada.groups.join("counter", { leadership: "observer", machine: Counter });
    await group.when.online(within());
    for (let i = 0; i < 10; i++) await group.execute({ add: 1 }, within());
    const ids = await Promise.all(
      children.map(async (child) => {
        child.send("who");
        const [id] = (await once(child, "message", within())) as [string];
        return id;
      }),
    );
    const leads = ids.indexOf(group.leader as string);
    ok(leads >= 0);
    const changed = group.when.leaderChanged(within());
    children[leads]?.kill("SIGKILL");
    notEqual(await changed, ids[leads]);
    deepEqual(await group.execute({ add: 1 }, within()), { position: 11, result: 11 });
    children.splice(leads, 1);
    for (const child of children) {
      child.send("close");
      const [code] = (await once(child, "exit", within())) as [number];
      equal(code, 0, "nothing keeps it alive");
    }
  });
});

describe("wrong options", () => {
  it("a port in use", async () => {
    const ada = await start();
    const [address] = ada.status().addresses;
    await rejects(start({ listen: address }), { code: "address-in-use", details: { address } });
  });

  it("a listen beyond loopback without a secret", async () => {
    await rejects(start({ listen: "0.0.0.0:0" }), { code: "insecure-listen", details: { address: "0.0.0.0:0" } });
    const allowed = await start({ listen: "0.0.0.0:0", insecure: true });
    ok(allowed.status().addresses.length > 0);
  });

  it("are named at once", async () => {
    const wrong: readonly [option: string, options: object][] = [
      ["listen", { listen: "nowhere" }],
      ["listen", { listen: "127.0.0.1:99999" }],
      ["listen", { listen: 7000 }],
      ["secret", { secret: "short" }],
      ["secret", { secret: 12 }],
      ["bootstrap", { bootstrap: "not an address" }],
      ["advertise", { advertise: "nowhere" }],
      ["tags", { tags: [7] }],
      ["tags", { tags: 7 }],
      ["secret", { secret: [] }],
      ["advertise", { advertise: 7 }],
      ["attributes", { attributes: [] }],
      ["bootstrap", { bootstrap: 7 }],
      ["attributes", { attributes: { a: 7 } }],
      ["bootstraps", { bootstraps: [] }],
      ["dataDir", { dataDir: "" }],
      ["dataDir", { dataDir: 7 }],
      ["tickets", { tickets: "a token" }],
      ["tickets", { tickets: [() => Promise.reject(new Error("no key"))] }],
    ];
    for (const [option, options] of wrong) {
      await rejects(start(options), { code: "bad-option", details: { option } }, option);
    }
    await rejects(Network.create(""), { code: "bad-option", details: { option: "name" } });
    const empty = await start({ bootstrap: undefined, secret: undefined, tags: "", advertise: undefined });
    equal(empty.status().peers, 0);
  });

  it("a bootstrap peer that is down is no error, and found when it comes", async () => {
    const gone = await start();
    const [address] = gone.status().addresses as [string];
    await gone.close();
    const ada = await start({ bootstrap: address });
    const group = ada.groups.join("late", { expect: 2, machine: Counter });
    equal(group.state, "joining");
    const bob = await start({ listen: address });
    bob.groups.join("late", { expect: 2, machine: Counter });
    await group.when.online(within());
  });
});

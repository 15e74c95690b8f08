import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import fc from "fast-check";
import { LIMITS, silentLogger } from "../../src/env/index.ts";
import {
  type BondFrame,
  decodeFrame,
  decodeHello,
  encodeFrame,
  encodeHello,
  FRAME,
} from "../../src/groups/bonds/frames.ts";
import type { MemberStatus } from "../../src/groups/bonds/status.ts";
import { memberId } from "../../src/groups/entries/member-id.ts";
import { defineStateMachine, GROUP_PROTOCOL } from "../../src/groups/index.ts";
import { batchOf } from "../../src/groups/testing.ts";
import { hashBytes, Identity, type PeerId, UniqueId } from "../../src/identity/index.ts";
import type { Message } from "../../src/raft/index.ts";
import type { StoreId } from "../../src/storage/index.ts";
import { createEndpoint } from "../../src/transport/index.ts";
import { CLOSE, type Link, type LinkClose } from "../../src/wire/index.ts";
import { arbitraryMessage, store } from "./kit.ts";
import { Counter, type Counters, type Nodes, scenario } from "./nodes.ts";

/** A peer that may be in the group, has all that it takes to bond, and means harm. */
class Mallory {
  static #count = 0;
  readonly frames: BondFrame[] = [];
  readonly link: Link;
  readonly target: MemberStatus;
  readonly #self: MemberStatus & { readonly peer: PeerId };
  readonly #targetPeer: PeerId;
  closed: LinkClose | undefined;

  static async bond(
    nodes: Nodes,
    victim: string,
    machine = { name: "counter", version: 1, codec: "msgpack/1" },
  ): Promise<Mallory> {
    const network = nodes.network(victim);
    const [group] = network.inspect().groups as { id: UniqueId; incarnation: MemberStatus["incarnation"] }[];
    const env = nodes.world.env("mallory");
    const identity = Identity.fromSeed(hashBytes(`mallory/${env.random.uint32()}`));
    const address = `10.9.9.9:${1024 + Mallory.#count++}`;
    const endpoint = createEndpoint({
      env,
      selfId: identity.peerId,
      transport: nodes.wire.transport({ env, identity, address }),
      network: UniqueId.from("test"),
      secrets: [],
      logger: silentLogger,
      onBug: (cause) => nodes.world.fail(cause),
    });
    endpoint.handle(GROUP_PROTOCOL, {
      frameBytesMax: LIMITS.groupFrameBytesMax,
      versionMin: 1,
      versionMax: 1,
      features: 0,
      accept: () => ({ refuse: CLOSE.cancelled, reason: "no" }),
      onLink: () => {},
    });
    await endpoint.listen();
    nodes.onClose(() => endpoint.close());
    const status: MemberStatus = {
      storeId: store("of mallory"),
      incarnation: group?.incarnation,
      role: "reader",
      isOpen: true,
      isEligible: true,
      isServing: false,
      isLeaving: false,
      isReluctant: false,
      isFull: false,
      index: 0,
      left: [],
      last: { index: 0, term: 0 },
      origins: [],
      distance: 1,
      term: 0,
      leader: undefined,
      position: 0,
    };
    const hello = encodeHello({
      group: group?.id as UniqueId,
      proof: new Uint8Array(0),
      machine,
      openings: { count: 1, ids: ["0".repeat(32)] },
      status,
    });
    const link = await endpoint.dial({ id: network.peerId, addresses: network.status().addresses }, GROUP_PROTOCOL, {
      signal: new AbortController().signal,
      payload: () => hello,
    });
    return new Mallory(link, { ...status, peer: identity.peerId }, network.peerId);
  }

  private constructor(link: Link, self: MemberStatus & { readonly peer: PeerId }, target: PeerId) {
    this.link = link;
    this.#self = self;
    this.#targetPeer = target;
    this.target = decodeHello(link.remotePayload).status;
    link.start({
      onFrame: (kind, payload) => {
        const frame = decodeFrame(kind, payload);
        if (frame !== undefined) this.frames.push(frame);
      },
      onClose: (close) => {
        this.closed = close;
      },
    });
  }

  send(frame: BondFrame): void {
    const { kind, payload } = encodeFrame(frame);
    this.link.send(kind, payload);
  }

  get closeReason(): string | undefined {
    return this.closed?.reason;
  }

  changeStore(storeId: StoreId): void {
    const { peer: _, ...status } = this.#self;
    this.send({ type: "status", status: { ...status, storeId } });
  }

  /** Bound as they must be, so that nothing but their content is wrong. */
  raft(messages: readonly Message[]): void {
    const self = memberId(this.#self.peer, this.#self.storeId);
    const target = memberId(this.#targetPeer, this.target.storeId);
    const text = `mosaik/raft-binding/1/${self}/${target}/${this.#self.incarnation}`;
    this.send({ type: "raft", binding: hashBytes(text).subarray(0, 8), messages });
  }
}

const NAMES = ["ada", "bob", "cyd"];

async function stillWorks(groups: readonly Counters[]): Promise<void> {
  const before = await groups[0]?.query("value");
  for (const group of groups) await group.execute({ add: 1 });
  for (const group of groups) equal((await group.query("value")).result, (before?.result ?? 0) + groups.length);
}

scenario("garbage in any frame closes that bond, and harms nobody", async (nodes) => {
  const groups = await nodes.online(NAMES);
  await groups[0]?.execute({ add: 1 });
  const kinds = [...Object.values(FRAME), 99, 255];
  const payloads = fc.sample(fc.uint8Array({ maxLength: 60 }), { numRuns: 10, seed: 7 });
  let closed = 0;
  for (const [i, kind] of kinds.entries()) {
    for (const payload of payloads) {
      const mallory = await Mallory.bond(nodes, NAMES[i % 3] as string);
      mallory.link.send(kind, payload);
      await nodes.sleep(20);
      if (mallory.closed?.code === CLOSE.protocolViolation) closed++;
      else mallory.link.destroy();
    }
  }
  ok(closed > 30, `${closed} were refused`);
  await stillWorks(groups);
});

scenario("messages of Raft that make no sense do not stop a member", async (nodes) => {
  const groups = await nodes.online(NAMES);
  await groups[0]?.execute({ add: 1 });
  const harmless = arbitraryMessage.filter(({ type }) => type !== "append");
  for (const [i, name] of NAMES.entries()) {
    let mallory = await Mallory.bond(nodes, name);
    for (const message of fc.sample(harmless, { numRuns: 100, seed: i })) {
      // A term far off ends the bond; the rest goes in by another.
      if (mallory.closed !== undefined) mallory = await Mallory.bond(nodes, name);
      mallory.raft([message]);
      await nodes.sleep(5);
    }
    mallory.link.destroy();
  }
  const terms = groups.map(({ term }) => term);
  ok(Math.max(...terms) < 2 ** 40, `terms ${terms}`);
  await Promise.all(groups.map((group) => nodes.within(10_000, group.when.online())));
  await stillWorks(groups);
});

scenario("a bond has one session; more of them close it, and stay out of the log", async (nodes) => {
  const groups = await nodes.online(NAMES);
  await stillWorks(groups);
  const name = NAMES[groups.findIndex(({ isLeader }) => isLeader)] as string;
  const sessions = (): number => (nodes.network(name).inspect().groups as { sessions: number }[])[0]?.sessions ?? 0;
  const before = sessions();
  const mallory = await Mallory.bond(nodes, name);
  for (let i = 0; i < 1_000; i++) mallory.send({ type: "open-session", key: i.toString(16).padStart(32, "0") });
  await nodes.sleep(100);
  equal(mallory.closed?.code, CLOSE.protocolViolation);
  equal(sessions(), before + 1);
  await stillWorks(groups);
});

scenario("nobody but the leader confirms a read, or asks for commands again", async (nodes) => {
  const groups = await nodes.online(NAMES);
  await stillWorks(groups);
  const at = groups.findIndex(({ isLeader }) => !isLeader);
  const [follower, name] = [groups[at] as Counters, NAMES[at] as string];
  const mallory = await Mallory.bond(nodes, name);
  nodes.cut(
    [name],
    NAMES.filter((other) => other !== name),
  );
  const read = follower.query("value", { timeoutMs: 500 });
  const forged = rejects(read, { code: "group-offline" });
  for (let request = 1; request < 200; request++) mallory.send({ type: "read-reply", request, index: 0 });
  for (let i = 0; i < 100; i++) mallory.send({ type: "commands-refused", session: i, expected: 1 });
  await forged;
  nodes.heal();
  mallory.link.destroy();
  await nodes.within(10_000, follower.when.online());
  await stillWorks(groups);
});

scenario("who asks for entries and does not read them is sent no more", async (nodes) => {
  const groups = await nodes.online(NAMES);
  for (let i = 0; i < 6; i++) await groups[0]?.execute({ note: "x".repeat(900_000) });
  const mallory = await Mallory.bond(nodes, "ada");
  mallory.link.pause();
  const incarnation = mallory.target.incarnation;
  ok(incarnation !== undefined);
  for (let i = 0; i < 200; i++) mallory.send({ type: "fetch", incarnation, after: { index: 0, term: 0 }, commit: 0 });
  await nodes.sleep(1_000);
  const queued = (nodes.network("ada").inspect().links as { queuedBytes: number }[]).map(
    ({ queuedBytes }) => queuedBytes,
  );
  ok(Math.max(...queued) < 4 * LIMITS.linkHighWaterBytes, `${Math.max(...queued)} bytes wait for it`);
  mallory.link.resume();
  await nodes.sleep(1_000);
  ok(
    mallory.frames.some((frame) => frame.type === "entries" && frame.entries.length > 0),
    "once it reads, it is served",
  );
  mallory.link.destroy();
  await stillWorks(groups);
});

scenario("a command that the user's codec chokes on closes the bond, not the network", async (nodes) => {
  const Json = defineStateMachine<{ add: number }, "value", number, number>("json", {
    create: () => {
      let value = 0;
      return { apply: ({ add }) => (value += add), query: () => value };
    },
    codec: {
      name: "json",
      encode: (command) => Buffer.from(JSON.stringify(command)),
      decode: (bytes) => JSON.parse(Buffer.from(bytes).toString()),
    },
  });
  const group = (await nodes.start("ada")).groups.join("json", { expect: 1, machine: Json });
  equal((await group.execute({ add: 1 })).result, 1);
  const mallory = await Mallory.bond(nodes, "ada", { name: "json", version: 1, codec: "json" });
  mallory.send({ type: "commands", session: 1, batches: [{ number: 1, ...batchOf([Buffer.from("{not json")]) }] });
  await nodes.sleep(50);
  equal(mallory.closed?.code, CLOSE.protocolViolation);
  equal((await group.execute({ add: 1 })).result, 2);
  equal(nodes.network("ada").status().ready, true);
});

scenario("a peer has one session at a time, and another one once it has another store", async (nodes) => {
  const groups = await nodes.online(NAMES);
  await groups[0]?.execute({ add: 1 });
  const leader = NAMES[groups.findIndex(({ isLeader }) => isLeader)] as string;
  const keys = ["1", "2", "3"].map((digit) => digit.repeat(32)) as [string, string, string];
  const mallory = await Mallory.bond(nodes, leader);
  mallory.send({ type: "open-session", key: keys[0] });
  await nodes.sleep(100);
  // As a member does whose store was doubted: it goes on over the same bond.
  mallory.changeStore(store("another of mallory"));
  mallory.send({ type: "open-session", key: keys[1] });
  await nodes.sleep(100);
  equal(mallory.closeReason, undefined);
  mallory.send({ type: "open-session", key: keys[2] });
  await nodes.sleep(100);
  equal(mallory.closeReason, "a second session over one bond");
  await stillWorks(groups);
});

scenario("a follower in step stays so, whatever its peers tell of themselves", async (nodes) => {
  const groups = await nodes.online(NAMES);
  const at = groups.findIndex(({ isLeader }) => isLeader);
  const [leader, name] = [groups[at] as Counters, NAMES[at] as string];
  await leader.execute({ add: 1 });
  await nodes.sleep(2_000);
  const states = (): string[] => {
    const [group] = nodes.network(name).inspect().groups as { raft: { progress: { state: string }[] } }[];
    return group?.raft.progress.map(({ state }) => state) ?? [];
  };
  // Each second members tell their new position: that is no reason to probe them anew, and to send again what is on its way.
  await leader.execute({ add: 1 });
  for (let i = 0; i < 5_500; i++) {
    deepEqual(states(), ["replicate", "replicate"]);
    await nodes.sleep(0.2);
  }
});

scenario("a closed handle ends what waits on it, though another keeps the member", async (nodes) => {
  const network = await nodes.start("ada");
  const [one, two] = [1, 2].map(() => network.groups.join("counter", { expect: 1, machine: Counter })) as [
    Counters,
    Counters,
  ];
  await two.when.online();
  const waits = [
    rejects(one.when.reaches(99), { code: "closed" }),
    rejects(one.when.leaderChanged(), { code: "closed" }),
    one.whileLeader(({ signal }) => new Promise((resolve) => signal.addEventListener("abort", () => resolve()))),
  ];
  await nodes.sleep(10);
  await one.close();
  await Promise.all(waits);
  await rejects(one.when.online(), { code: "closed" });
  equal((await two.execute({ add: 1 })).position, 1);
});

import { deepEqual, equal } from "node:assert/strict";
import { describe, it } from "node:test";
import { peer, statusOf } from "../../test/groups/kit.ts";
import type { PeerDirectory } from "../discovery/index.ts";
import { LIMITS, Scope, silentLogger, VirtualWorld } from "../env/index.ts";
import { hash, type PeerId } from "../identity/index.ts";
import type { Endpoint } from "../transport/index.ts";
import { CLOSE, type Hello, type Link, type LinkHandlers } from "../wire/index.ts";
import type { Bond } from "./bond.ts";
import { Bonds, type Verdict } from "./bonds.ts";
import { encodeHello } from "./frames.ts";
import { NO_OPENINGS } from "./openings.ts";

const GROUP = hash("group");
const MACHINE = { name: "m", version: 1, codec: "c" };

const payload = encodeHello({
  group: GROUP,
  proof: new Uint8Array(0),
  machine: MACHINE,
  openings: NO_OPENINGS,
  status: statusOf({}),
});
const hello: Hello = { versionMin: 1, versionMax: 1, network: GROUP, features: 0, proof: new Uint8Array(0), payload };

/** A link in name only: it notes how it ends. */
class FakeLink {
  readonly remotePayload = payload;
  readonly isInitiator = false;
  isOpen = true;
  closedWith: number | undefined;
  handlers: LinkHandlers | undefined;
  readonly remoteId: PeerId;

  constructor(remoteId: PeerId) {
    this.remoteId = remoteId;
  }
  start(handlers: LinkHandlers): void {
    this.handlers = handlers;
  }
  async close(code: number): Promise<void> {
    this.closedWith = code;
  }
}

class Bench {
  readonly events: string[] = [];
  readonly bonds: Bonds;

  constructor() {
    const env = new VirtualWorld({ seed: 1 }).env("ada");
    const tell = (what: string) => (bond: Bond) => this.events.push(`${what} ${bond.peer.slice(0, 4)}`);
    this.bonds = new Bonds({
      env,
      scope: new Scope(env, () => {}),
      // Below all others: it dials, unless it has nobody to dial.
      selfId: "0".repeat(64) as PeerId,
      group: GROUP,
      endpoint: {} as Endpoint,
      directory: { inGroup: () => [], get: () => undefined } as unknown as PeerDirectory,
      secrets: [],
      machine: MACHINE,
      logger: silentLogger,
      status: () => statusOf({}),
      openings: () => NO_OPENINGS,
      refusalOf: () => undefined,
      handlers: {
        onOpen: tell("open"),
        onClose: tell("close"),
        onFrame: () => {},
        onDrain: () => {},
        onAttempted: () => {},
        onDoubted: () => {},
      },
    });
  }

  accept(remoteId: PeerId): Verdict {
    return this.bonds.accept(hello, { remoteId, exportKey: () => new Uint8Array(32) });
  }

  link(remoteId: PeerId): FakeLink {
    const link = new FakeLink(remoteId);
    this.bonds.onLink(link as unknown as Link);
    return link;
  }
}

const codeOf = (verdict: Verdict): number | undefined => ("refuse" in verdict ? verdict.refuse : undefined);

describe("bonds", () => {
  it("are bounded; who is bonded may come again", () => {
    const bench = new Bench();
    for (let i = 0; i < LIMITS.bondsMax; i++) {
      equal(codeOf(bench.accept(peer(`peer ${i}`))), undefined);
      bench.link(peer(`peer ${i}`));
    }
    equal(codeOf(bench.accept(peer("one more"))), CLOSE.overloaded);
    equal(codeOf(bench.accept(peer("peer 0"))), undefined);
  });

  it("a newer one takes the place of an older one; what the older one says or does then counts no more", () => {
    const bench = new Bench();
    const [older, newer] = [bench.link(peer("bob")), bench.link(peer("bob"))];
    const name = peer("bob").slice(0, 4);
    deepEqual(bench.events, [`open ${name}`, `close ${name}`, `open ${name}`]);
    equal(older.closedWith, CLOSE.groupAlreadyBonded);
    older.handlers?.onClose({ code: CLOSE.groupAlreadyBonded, reason: "", by: "us" });
    equal(bench.events.length, 3);
    equal(bench.bonds.all.length, 1);
    newer.handlers?.onClose({ code: CLOSE.unexpectedClose, reason: "", by: "none" });
    equal(bench.events.at(-1), `close ${name}`);
    equal(bench.bonds.all.length, 0);
  });

  it("after the close nobody is let in", async () => {
    const bench = new Bench();
    const link = bench.link(peer("bob"));
    await bench.bonds.close();
    equal(link.closedWith, CLOSE.gracefulShutdown);
    equal(codeOf(bench.accept(peer("cyd"))), CLOSE.groupNotFound);
    // This one was let in before, and its link came up only now.
    equal(bench.link(peer("dan")).closedWith, CLOSE.gracefulShutdown);
    equal(bench.bonds.all.length, 1);
  });
});

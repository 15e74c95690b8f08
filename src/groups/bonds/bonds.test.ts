import { deepEqual, equal, ok } from "node:assert/strict";
import { describe, it } from "node:test";
import { peer, statusOf, store } from "../../../test/groups/kit.ts";
import type { PeerDirectory } from "../../discovery/index.ts";
import { LIMITS, Scope, silentLogger, VirtualWorld } from "../../env/index.ts";
import { hash, type PeerId } from "../../identity/index.ts";
import type { StoreId } from "../../storage/index.ts";
import type { Endpoint } from "../../transport/index.ts";
import { CLOSE, type Hello, type Link, type LinkHandlers } from "../../wire/index.ts";
import type { Bond } from "./bond.ts";
import { Bonds, type Verdict } from "./bonds.ts";
import { encodeFrame, encodeHello } from "./frames.ts";
import { NO_OPENINGS, type Openings } from "./openings.ts";

const GROUP = hash("group");
const MACHINE = { name: "m", version: 1, codec: "c" };

/** Of a store that was opened so often, in the last of these places. */
const opened = (...ids: readonly number[]): Openings => ({
  count: ids.length,
  ids: ids.map((id) => `${id}`.repeat(32)),
});

function helloOf(openings: Openings, storeId = store("ada"), isEligible = true): Hello {
  const proof = new Uint8Array(0);
  const status = statusOf({ storeId, isEligible });
  const payload = encodeHello({ group: GROUP, proof, machine: MACHINE, openings, status });
  return { versionMin: 1, versionMax: 1, network: GROUP, features: 0, proof, payload };
}

const hello = helloOf(opened(1));

/** A link in name only: it notes how it ends. */
class FakeLink {
  readonly remotePayload: Uint8Array;
  readonly isInitiator = false;
  isOpen = true;
  closedWith: number | undefined;
  handlers: LinkHandlers | undefined;
  readonly remoteId: PeerId;

  constructor(remoteId: PeerId, { payload }: Hello) {
    this.remoteId = remoteId;
    this.remotePayload = payload;
  }
  tell(storeId: StoreId): void {
    const { kind, payload } = encodeFrame({ type: "status", status: statusOf({ storeId }) });
    this.handlers?.onFrame(kind, payload);
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
  openings = opened(1);
  lookups = 0;

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
      directory: { inGroup: () => this.#lookUp(), get: () => undefined } as unknown as PeerDirectory,
      secrets: [],
      machine: MACHINE,
      isObserver: false,
      logger: silentLogger,
      status: () => statusOf({}),
      openings: () => this.openings,
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

  #lookUp(): never[] {
    this.lookups++;
    return [];
  }

  accept(remoteId: PeerId, shown = hello): Verdict {
    return this.bonds.accept(shown, { remoteId, exportKey: () => new Uint8Array(32) });
  }

  link(remoteId: PeerId, shown = hello): FakeLink {
    const link = new FakeLink(remoteId, shown);
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

  it("with observers are fewer, also when their dials cross each other", () => {
    const bench = new Bench();
    const observer = helloOf(opened(1), store("ada"), false);
    const names = Array.from({ length: LIMITS.observersMax + 1 }, (_, i) => peer(`observer ${i}`));
    for (const name of names) equal(codeOf(bench.accept(name, observer)), undefined);
    const links = names.map((name) => bench.link(name, observer));
    deepEqual(
      links.map(({ closedWith }) => closedWith),
      names.map((_, i) => (i < LIMITS.observersMax ? undefined : CLOSE.groupCrowded)),
    );
    equal(bench.bonds.all.length, LIMITS.observersMax);
    equal(codeOf(bench.accept(peer("one more"), observer)), CLOSE.groupCrowded);
    equal(codeOf(bench.accept(peer("one more"))), undefined, "no observer");
    equal(codeOf(bench.accept(peer("observer 0"), observer)), undefined, "it has a place");
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

  it("are not made before both stores are open: a store whose openings are not told would be believed", () => {
    const bench = new Bench();
    bench.openings = NO_OPENINGS;
    equal(codeOf(bench.accept(peer("bob"))), CLOSE.groupNotFound);
    bench.bonds.refresh();
    equal(bench.lookups, 0);

    bench.openings = opened(1);
    bench.bonds.refresh();
    ok(bench.lookups > 0);
    equal(codeOf(bench.accept(peer("bob"), helloOf(NO_OPENINGS))), CLOSE.groupNotFound);
    equal(codeOf(bench.accept(peer("bob"))), undefined);
  });

  it("a peer may draw a new store, and never names one again that was seen before", () => {
    const bench = new Bench();
    const link = bench.link(peer("bob"));
    link.tell(store("two"));
    equal(bench.bonds.get(peer("bob"))?.status.storeId, store("two"));
    equal(link.closedWith, undefined);
    link.tell(store("ada"));
    equal(link.closedWith, CLOSE.groupStaleStore);
    equal(bench.bonds.get(peer("bob"))?.status.storeId, store("two"));
  });

  it("a link whose hello was overtaken by word of a new store is closed, and the new store stays the one that counts", () => {
    const bench = new Bench();
    equal(codeOf(bench.accept(peer("bob"))), undefined);
    bench.link(peer("bob")).tell(store("two"));
    equal(bench.link(peer("bob")).closedWith, CLOSE.groupStaleStore);
    equal(codeOf(bench.accept(peer("bob"), helloOf(opened(2), store("two")))), undefined);
  });
});

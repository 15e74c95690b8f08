import { ok } from "node:assert/strict";
import type { TLSSocket } from "node:tls";
import type { DigestRange } from "../../src/discovery/digest.ts";
import { signDeparture, signEntry } from "../../src/discovery/entry.ts";
import { encodeDigest, encodeNews, encodeOpening, FRAME, type News } from "../../src/discovery/messages.ts";
import { UniqueId } from "../../src/identity/index.ts";
import { encodeFrame, KIND } from "../../src/wire/index.ts";
import { hello, identityOf, onFrames, peer, pour } from "./attacker.ts";
import type { Attack } from "./attacks.ts";
import { NETWORK, SECRET } from "./protocol.ts";

const FLOOD_MS = 2_000;
const IDENTITIES = 50;
const VERSIONS = 60;
const ITEMS = 100;

/** Somebody who knows the secret, linked as a neighbour is. What is said to it is thrown away. */
async function neighbour(port: number, number: number): Promise<TLSSocket> {
  const socket = await peer(port, number);
  const welcome = new Promise<void>((resolve) => {
    onFrames(socket, ({ kind }) => {
      if (kind === KIND.hello) resolve();
    });
  });
  socket.write(hello(socket, { payload: encodeOpening(Date.now()) }, SECRET, number));
  await welcome;
  return socket;
}

/** Entries of many peers, each signed as it should be, newer and newer; without addresses, so that nobody dials them. */
function* news(): Generator<News> {
  const network = UniqueId.from(NETWORK);
  const startMs = Date.now();
  for (let version = 0; version < VERSIONS; version++) {
    for (let number = 0; number < IDENTITIES; number++) {
      const identity = identityOf(1_000 + number);
      const content = { addresses: [], tags: [], attributes: {}, groups: [], streams: [], tickets: [] };
      const entry = { network, id: identity.peerId, version: { startMs, updateMs: startMs + version }, ...content };
      yield { type: "entry", ageMs: 0, signed: signEntry(entry, identity) };
    }
  }
  for (let number = 0; number < IDENTITIES; number++) {
    yield { type: "departure", ageMs: 0, departure: signDeparture(network, startMs, identityOf(1_000 + number)) };
  }
}

/** Once signed, every frame is news to whoever hears it first; what is repeated is only looked at. */
const entries: Attack = {
  title: "a member that floods its neighbours with signed entries",
  run: async ({ leader }, { note, newcomer }) => {
    const list = [...news()];
    const frames: Uint8Array[] = [];
    for (let first = 0; first < list.length; first += ITEMS) {
      frames.push(encodeFrame(FRAME.news, encodeNews(list.slice(first, first + ITEMS))));
    }
    const socket = await neighbour(leader, 6);
    const sent = await pour(socket, frames, FLOOD_MS);
    ok(!socket.destroyed && sent > frames.length, "it is taken, and not sent away");
    await newcomer();
    note(`${sent * ITEMS} entries, ${list.length} of them news`);
  },
};

const comparisons: Attack = {
  title: "a member that compares catalogs without end",
  run: async ({ leader }, { note, newcomer }) => {
    const all: DigestRange = {
      type: "items",
      after: "0".repeat(64) as UniqueId,
      upTo: "f".repeat(64) as UniqueId,
      items: [],
    };
    const frame = encodeFrame(FRAME.digest, encodeDigest([all]));
    const socket = await neighbour(leader, 6);
    const sent = await pour(socket, [Buffer.concat(Array.from({ length: 500 }, () => frame))], FLOOD_MS);
    ok(sent > 1);
    await newcomer();
    note(`${sent * 500} comparisons`);
  },
};

export const floodsOfMembers: readonly Attack[] = [entries, comparisons];

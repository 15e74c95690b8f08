import { Identity, UniqueId } from "../identity/index.ts";
import { signEntry } from "./entry.ts";
import type { PeerEntry, SignedEntry } from "./types.ts";

/** For tests: a network, and peers whose keys are numbered. */
export const NETWORK = UniqueId.from("discovery tests");

const identities = new Map<number, Identity>();

export function identityOf(number: number): Identity {
  let identity = identities.get(number);
  if (identity === undefined) {
    identity = Identity.fromSeed(new Uint8Array(32).fill(number & 0xff).fill(number >>> 8, 16));
    identities.set(number, identity);
  }
  return identity;
}

export function entryOf(number: number, change: Partial<PeerEntry> = {}): PeerEntry {
  return {
    network: NETWORK,
    id: identityOf(number).peerId,
    version: { startMs: 1_000, updateMs: 1_000 },
    addresses: ["127.0.0.1:7000"],
    tags: [],
    attributes: {},
    groups: [],
    streams: [],
    tickets: [],
    ...change,
  };
}

export function signedOf(number: number, change: Partial<PeerEntry> = {}): SignedEntry {
  return signEntry(entryOf(number, change), identityOf(number));
}

export function signedAt(number: number, startMs: number, updateMs: number, tags: readonly string[] = []): SignedEntry {
  return signedOf(number, { version: { startMs, updateMs }, tags });
}

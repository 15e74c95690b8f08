import { Buffer } from "node:buffer";
import { assert, LIMITS } from "../env/index.ts";
import {
  hashBytes,
  type Identity,
  type PeerId,
  SIGNATURE_BYTES,
  type UniqueId,
  verifySignature,
} from "../identity/index.ts";
import { ByteReader, ByteWriter, DecodeError } from "../wire/index.ts";
import type { Departure, EntryVersion, PeerEntry, SignedEntry, Ticket } from "./types.ts";

/**
 * The form of an entry. An entry of another form is skipped, not refused: its neighbours may be newer than we are.
 *
 * form u8 · network · id · start, update · addresses · tags · attributes · groups · streams · tickets · sections
 *
 * Sections (number, bytes; numbers ascending) hold what later versions add; unknown ones are skipped. They stay under the signature,
 * since the exact bytes are what is kept and passed on.
 */
const FORM = 1;
const ENTRY_DOMAIN = "mosaik/entry/1";
const DEPARTURE_DOMAIN = "mosaik/departure/1";
const SECTIONS_MAX = 16;

/** Signs what this peer says of itself. */
export function signEntry(entry: PeerEntry, identity: Identity): SignedEntry {
  assert(entry.id === identity.peerId, "a peer signs its own entry only");
  const bytes = encodeEntry(entry);
  return { entry, bytes, signature: identity.sign(hashBytes(ENTRY_DOMAIN, bytes)) };
}

/** True for a form that this version reads. */
export function isKnownForm(bytes: Uint8Array): boolean {
  return bytes[0] === FORM;
}

/** Whose entry it is and which, without the cost of a proof: only to see that we have it already. @throws DecodeError */
export function peekEntry(bytes: Uint8Array): { readonly id: PeerId; readonly version: EntryVersion } {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== FORM) throw new DecodeError("an entry of an unknown form");
  reader.id();
  const id = reader.id() as PeerId;
  return { id, version: readVersion(reader) };
}

/**
 * Always verifies. The result holds copies: nothing of the frame stays alive.
 * @throws DecodeError for another network's entry, a wrong signature, anything out of bounds or not in canonical order
 */
export function decodeSignedEntry(bytes: Uint8Array, signature: Uint8Array, network: UniqueId): SignedEntry {
  if (bytes.length + SIGNATURE_BYTES > LIMITS.entryBytesMax) throw new DecodeError("an entry above its size limit");
  const entry = decodeEntry(bytes, network);
  if (!verifySignature(entry.id, hashBytes(ENTRY_DOMAIN, bytes), signature)) {
    throw new DecodeError("an entry with a wrong signature");
  }
  return { entry, bytes: bytes.slice(), signature: signature.slice() };
}

export function signDeparture(network: UniqueId, startMs: number, identity: Identity): Departure {
  const id = identity.peerId;
  return { network, id, startMs, signature: identity.sign(departureHash(network, id, startMs)) };
}

/** Always verifies. @throws DecodeError */
export function checkDeparture(departure: Departure): Departure {
  const { network, id, startMs, signature } = departure;
  if (!verifySignature(id, departureHash(network, id, startMs), signature)) {
    throw new DecodeError("a departure with a wrong signature");
  }
  return { network, id, startMs, signature: signature.slice() };
}

function departureHash(network: UniqueId, id: PeerId, startMs: number): Uint8Array {
  return hashBytes(DEPARTURE_DOMAIN, new ByteWriter(80).id(network).id(id).varint(startMs).finish());
}

export function encodeEntry(entry: PeerEntry): Uint8Array {
  const writer = new ByteWriter(512).u8(FORM).id(entry.network).id(entry.id);
  writer.varint(entry.version.startMs).varint(entry.version.updateMs);
  writeList(writer, entry.addresses, (address) => writer.text(address));
  writeList(writer, entry.tags, (tag) => writer.text(tag));
  // Sorted here: an object lists keys that look like numbers first, whatever order they came in.
  const keys = Object.keys(entry.attributes).sort();
  writeList(writer, keys, (key) => writer.text(key).text(entry.attributes[key] ?? ""));
  writeList(writer, entry.groups, (group) => writer.id(group));
  writeList(writer, entry.streams, (stream) => writer.id(stream));
  writeList(writer, entry.tickets, (ticket) => writer.id(ticket.class).bytes(ticket.data));
  return writer.varint(0).finish();
}

function decodeEntry(bytes: Uint8Array, network: UniqueId): PeerEntry {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== FORM) throw new DecodeError("an entry of an unknown form");
  if (reader.id() !== network) throw new DecodeError("another network's entry");
  const entry: PeerEntry = {
    network,
    id: reader.id() as PeerId,
    version: readVersion(reader),
    addresses: readAddresses(reader),
    tags: readTags(reader),
    attributes: readAttributes(reader),
    groups: readIds(reader, LIMITS.entryGroupsMax),
    streams: readIds(reader, LIMITS.entryStreamsMax),
    tickets: readTickets(reader),
  };
  skipSections(reader);
  reader.end();
  return entry;
}

function readVersion(reader: ByteReader): EntryVersion {
  return { startMs: reader.varint(), updateMs: reader.varint() };
}

function readAddresses(reader: ByteReader): string[] {
  const addresses = readList(reader, LIMITS.addressesMax, 1, () => reader.text(LIMITS.addressBytesMax));
  if (new Set(addresses).size !== addresses.length) throw new DecodeError("an address given twice");
  for (const address of addresses) if (!isAddressText(address)) throw new DecodeError("an address that makes no sense");
  return addresses;
}

function readTags(reader: ByteReader): string[] {
  const tags = readList(reader, LIMITS.tagsMax, 1, () => reader.text(LIMITS.tagBytesMax));
  for (const tag of tags) if (!isTagText(tag)) throw new DecodeError("a tag that makes no sense");
  return requireAscending(tags, "tags");
}

function readAttributes(reader: ByteReader): Readonly<Record<string, string>> {
  const bytesMax = LIMITS.attributesBytesMax;
  const pairs = readList(reader, bytesMax / 2, 2, () => [reader.text(bytesMax), reader.text(bytesMax)] as const);
  requireAscending(
    pairs.map(([key]) => key),
    "attributes",
  );
  // Not by assignment: a key such as `__proto__` is a key like any other.
  const attributes: Record<string, string> = Object.fromEntries(pairs);
  if (attributesBytes(attributes) > bytesMax) throw new DecodeError("attributes above their size limit");
  return Object.freeze(attributes);
}

function readIds(reader: ByteReader, max: number): UniqueId[] {
  return requireAscending(
    readList(reader, max, 32, () => reader.id()),
    "ids",
  );
}

function readTickets(reader: ByteReader): Ticket[] {
  const tickets = readList(reader, LIMITS.ticketsMax, 33, () => ({
    class: reader.id(),
    data: reader.bytesCopy(LIMITS.ticketBytesMax),
  }));
  for (let index = 1; index < tickets.length; index++) {
    const [previous, ticket] = [tickets[index - 1], tickets[index]];
    if (previous === undefined || ticket === undefined || compareTickets(previous, ticket) >= 0) {
      throw new DecodeError("tickets that are not sorted");
    }
  }
  return tickets;
}

function skipSections(reader: ByteReader): void {
  let previous = -1;
  for (let left = reader.count(SECTIONS_MAX, 2); left > 0; left--) {
    const number = reader.varint();
    if (number <= previous) throw new DecodeError("sections that are not sorted");
    previous = number;
    reader.bytes(LIMITS.entryBytesMax);
  }
}

function writeList<T>(writer: ByteWriter, items: readonly T[], write: (item: T) => void): void {
  writer.varint(items.length);
  for (const item of items) write(item);
}

function readList<T>(reader: ByteReader, max: number, itemBytesMin: number, read: () => T): T[] {
  const items: T[] = [];
  for (let left = reader.count(max, itemBytesMin); left > 0; left--) items.push(read());
  return items;
}

function requireAscending<T extends string>(items: T[], what: string): T[] {
  for (let index = 1; index < items.length; index++) {
    if (!((items[index - 1] as T) < (items[index] as T))) throw new DecodeError(`${what} that are not sorted`);
  }
  return items;
}

export function compareTickets(a: Ticket, b: Ticket): number {
  if (a.class !== b.class) return a.class < b.class ? -1 : 1;
  return Buffer.compare(a.data, b.data);
}

/** Keys and values in UTF-8. */
export function attributesBytes(attributes: Readonly<Record<string, string>>): number {
  let bytes = 0;
  for (const [key, value] of Object.entries(attributes)) bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  return bytes;
}

const VISIBLE_ASCII = /^[!-~]+$/;
// Control characters would let a peer write lines into our logs. Lone surrogates do not survive UTF-8.
const NOT_FOR_TAGS = /[\p{Cc}\p{Cs}]/u;

export function isAddressText(text: string): boolean {
  return VISIBLE_ASCII.test(text) && text.length <= LIMITS.addressBytesMax;
}

export function isTagText(text: string): boolean {
  return text !== "" && !NOT_FOR_TAGS.test(text) && Buffer.byteLength(text) <= LIMITS.tagBytesMax;
}

/** Text that is the same after UTF-8. */
export function isWellFormed(text: string): boolean {
  return !/\p{Cs}/u.test(text);
}

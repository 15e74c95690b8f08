import { deepEqual, equal, notEqual, throws } from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  arbitraryEntry,
  arbitraryMessage,
  arbitraryPosition,
  contiguous,
  decodesOrRefuses,
  mutationsOf,
} from "../../../test/groups/kit.ts";
import { LIMITS } from "../../env/index.ts";
import type { Entry, Message } from "../../raft/index.ts";
import { ByteReader, ByteWriter, DecodeError } from "../../wire/index.ts";
import { readEntries, readMessage, writeEntries, writeMessage } from "./raft-codec.ts";

function encode(message: Message): Uint8Array {
  const writer = new ByteWriter();
  writeMessage(writer, message);
  return writer.finish();
}

function decode(bytes: Uint8Array): Message {
  const reader = new ByteReader(bytes);
  const message = readMessage(reader);
  reader.end();
  return message;
}

describe("Raft's messages as bytes", () => {
  it("come back as they were, each type", () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(arbitraryMessage, (message) => {
        seen.add(message.type);
        deepEqual(decode(encode(message)), message);
      }),
      { numRuns: 500 },
    );
    equal(seen.size, 8);
  });

  it("random and damaged bytes give a message or a DecodeError", () => {
    const bytes = fc.oneof(fc.uint8Array({ maxLength: 200 }), mutationsOf(arbitraryMessage.map(encode)));
    fc.assert(
      fc.property(bytes, (damaged) => {
        decodesOrRefuses(() => decode(damaged));
      }),
      { numRuns: 2_000 },
    );
  });

  it("entries follow the one before them, and their terms do not go back", () => {
    fc.assert(
      fc.property(arbitraryPosition, fc.array(arbitraryEntry, { minLength: 1, maxLength: 8 }), (prev, entries) => {
        const writer = new ByteWriter();
        writeEntries(writer, entries);
        const decoded = decodesOrRefuses(() => readEntries(new ByteReader(writer.finish()), prev));
        const terms = [prev.term, ...entries.map(({ term }) => term)];
        const isOrdered = terms.every((term, i) => i === 0 || term >= (terms[i - 1] as number));
        if (isOrdered) deepEqual(decoded, contiguous(prev, entries));
        else equal(decoded, undefined);
      }),
    );
  });

  it("an index beyond what a number can hold is refused", () => {
    const entry: Entry = { index: 1, term: 1, kind: 4, data: new Uint8Array(0) };
    const prev = { index: Number.MAX_SAFE_INTEGER, term: 1 };
    throws(() => decode(encode({ type: "append", term: 1, prev, entries: [entry], commit: 1, round: 1 })), DecodeError);
  });

  it("too many entries, and data that is too long, are refused", () => {
    const entry = (bytes: number): Entry => ({ index: 1, term: 1, kind: 4, data: new Uint8Array(bytes) });
    const read = (entries: readonly Entry[]): Entry[] => {
      const writer = new ByteWriter();
      writeEntries(writer, entries);
      return readEntries(new ByteReader(writer.finish()), { index: 0, term: 0 });
    };
    equal(read(Array.from({ length: LIMITS.appendEntriesMax }, () => entry(0))).length, LIMITS.appendEntriesMax);
    throws(() => read(Array.from({ length: LIMITS.appendEntriesMax + 1 }, () => entry(0))), DecodeError);
    equal(read([entry(LIMITS.entryDataBytesMax)]).length, 1);
    throws(() => read([entry(LIMITS.entryDataBytesMax + 1)]), DecodeError);
  });

  it("an entry's data does not keep the frame alive", () => {
    const writer = new ByteWriter();
    writeEntries(writer, [{ index: 1, term: 1, kind: 4, data: Uint8Array.of(1, 2, 3) }]);
    const bytes = writer.finish();
    const [entry] = readEntries(new ByteReader(bytes), { index: 0, term: 0 });
    deepEqual(entry?.data, Uint8Array.of(1, 2, 3));
    notEqual(entry?.data.buffer, bytes.buffer);
  });
});

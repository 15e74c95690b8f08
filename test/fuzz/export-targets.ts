import { createHash } from "node:crypto";
import { MosaikError } from "../../src/env/index.ts";
import { ExportReader } from "../../src/groups/founding/export.ts";
import { fromPlainChunks, PlainIntake, plainChunks } from "../../src/groups/machine/plain-chunks.ts";
import { encodeSnapshot } from "../../src/groups/replica/snapshot-format.ts";
import type { IncarnationId } from "../../src/storage/index.ts";
import { DecodeError } from "../../src/wire/index.ts";
import { Chance } from "./chance.ts";
import { sessions } from "./group-targets.ts";
import { id, type Target, text } from "./target.ts";

/** Of one input: each is a hundred times its byte. */
const PARTS_MAX = 100;
const HEAD = Uint8Array.of(...Buffer.from("mosaikex"), 1);

export const exportTargets: readonly Target[] = [
  { name: "export", make: (chance) => seal(Buffer.concat(parts(chance))), decode: readExport },
  {
    // With the right hash, whatever it says: what is in it must hold, too.
    name: "export-content",
    make: (chance) => Buffer.concat(parts(chance)),
    decode: (bytes) => readExport(seal(bytes)),
  },
  {
    // Whole parts that are out of place, missing, or there many times.
    name: "export-parts",
    make: () => Uint8Array.from(PARTS[0], (_, at) => at * 2),
    decode: (bytes) => {
      const chosen = Array.from(bytes.subarray(0, PARTS_MAX), (byte) => {
        const of = PARTS[byte % 2] as readonly Uint8Array[];
        return of[(byte >> 1) % of.length] as Uint8Array;
      });
      return readExport(seal(Buffer.concat(chosen)));
    },
  },
];

/** Two exports, in parts. */
const PARTS = [parts(new Chance(1)), parts(new Chance(2))] as const;

/** As an import reads it: in pieces of sizes that depend on the bytes alone, and then with the state that they lead to. */
function readExport(bytes: Uint8Array): unknown {
  const reader = new ExportReader(new PlainIntake());
  const cuts = new Chance(bytes.reduce((sum, byte) => (Math.imul(sum, 31) + byte) >>> 0, bytes.length));
  const longest = cuts.pick([1, 8, 64, 4_096]);
  try {
    for (let at = 0; at < bytes.length; ) {
      const end = at + cuts.below(longest + 1);
      reader.push(bytes.subarray(at, end));
      at = end;
    }
    const { chunks, ...facts } = reader.end();
    return { ...facts, state: fromPlainChunks(chunks) };
  } catch (cause) {
    throw MosaikError.is(cause, "snapshot-refused") ? new DecodeError(cause.message) : cause;
  }
}

function seal(content: Uint8Array): Uint8Array {
  const bytes = Buffer.concat([HEAD, content]);
  return Buffer.concat([bytes, createHash("sha256").update(bytes).digest()]);
}

/** Of a snapshot, as an export has it. */
function parts(chance: Chance): Uint8Array[] {
  const facts = {
    incarnation: id(chance) as IncarnationId,
    position: chance.number(),
    timeMs: chance.number(),
    openIndex: 1,
    establishedIndex: 1,
    machine: { name: text(chance, 20), version: 1 + chance.below(3) },
    agreed: undefined,
    origins: [],
  };
  const state = {
    table: new Map(chance.list(300, () => [text(chance, 8), chance.number()])),
    rows: chance.list(20, () => ({ name: text(chance, 20), bytes: chance.bytes(chance.size(60)) })),
  };
  return [...encodeSnapshot(facts, sessions(chance), plainChunks(state))];
}

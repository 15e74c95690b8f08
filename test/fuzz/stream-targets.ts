import { hash, type PeerId } from "../../src/identity/index.ts";
import { Intake } from "../../src/streams/delivery/index.ts";
import { decodeAccept, decodeOpening, encodeAccept, encodeOpening } from "../../src/streams/messages.ts";
import { ByteWriter, inlineMessagePack } from "../../src/wire/index.ts";
import { id, type Target, text } from "./target.ts";

const PRODUCER = hash("a producer") as PeerId;
const LANE = "ab".repeat(16);

/** What one producer and one consumer say to each other. */
export const streamTargets: readonly Target[] = [
  {
    name: "stream-opening",
    make: (chance) =>
      encodeOpening({
        stream: id(chance),
        codec: text(chance, 30),
        criteria: chance.isOneIn(2) ? undefined : chance.bytes(chance.size(200)),
      }),
    decode: decodeOpening,
  },
  {
    name: "stream-accept",
    make: (chance) => encodeAccept({ lane: LANE, next: 1 + chance.below(1_000_000) }),
    decode: decodeAccept,
  },
  {
    name: "stream-values",
    make: (chance) => {
      const writer = new ByteWriter().varint(1 + chance.below(300));
      for (const value of chance.list(8, () => text(chance, 60))) {
        const start = writer.u32(0).length;
        inlineMessagePack.write(writer, value);
        writer.patchU32(start - 4, writer.length - start);
      }
      return writer.finish();
    },
    decode: (bytes) => {
      const intake = new Intake({
        from: PRODUCER,
        read: (reader, length) => inlineMessagePack.read(reader, length),
        validate: (value) => ({ ok: true, value }),
        onInvalid: "skip",
        before: undefined,
      });
      intake.onAccept(encodeAccept({ lane: LANE, next: 1 }));
      intake.onValues(bytes);
      const messages: unknown[] = [];
      for (let next = intake.next(); next !== undefined; next = intake.next()) messages.push(next.message);
      return messages;
    },
  },
];

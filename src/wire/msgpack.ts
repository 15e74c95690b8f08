// The one module that imports msgpackr, which the build inlines: it would bring a native module with an install script into users' trees.
// The sub-path leads to its plain JavaScript; the main entry would look for the native part. A Packr also unpacks, and is all that every
// resolution of the sub-path exports.
import { addExtension, Packr } from "msgpackr/pack";

/** A class that MessagePack does not know: as fixext 8 with these bytes (`pack`), or as the marker fixext 1 before another value (`write`). */
export type MsgpackExtension<T> = { readonly Class: new (...parts: never[]) => T; readonly type: number } & (
  | { pack(value: T): Uint8Array; unpack(bytes: Uint8Array): T }
  | { write(value: T): unknown; read(value: unknown): unknown }
);

/** Registered for the whole module, hence once per class. */
export function registerExtension<T>(extension: MsgpackExtension<T>): void {
  addExtension(extension as unknown as Parameters<typeof addExtension>[0]);
}

// No records: they would let hostile bytes define classes, and compile code for them. Maps in their shortest form, byte strings copied.
const packr = new Packr({
  useRecords: false,
  variableMapSize: true,
  useToJSON: false,
  mapsAsObjects: true,
  copyBuffers: true,
});

/** The bytes may lie in a larger buffer, which later values share. */
export function packValue(value: unknown): Uint8Array {
  return packr.pack(value);
}

// msgpackr hangs a DataView on what it reads, which costs more than to read a small value: those are read from one place.
const SCRATCH_BYTES = 4 * 1024;
const scratch = new Uint8Array(SCRATCH_BYTES);

/** Byte strings in it are copies, and plain. */
export function unpackValue(bytes: Uint8Array): unknown {
  const { length } = bytes;
  if (length > SCRATCH_BYTES) return packr.unpack(new Uint8Array(bytes.buffer, bytes.byteOffset, length));
  scratch.set(bytes);
  return packr.unpack(scratch, length);
}

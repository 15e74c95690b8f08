import { type Env, mosaikError } from "../../env/index.ts";
import { ID_BYTES } from "../../identity/index.ts";
import { crc32c } from "./crc32c.ts";
import { type FileSystem, readWhole, writeWhole } from "./file-system.ts";
import { storageError } from "./write-queue.ts";

const NAME = "identity";
const MAGIC = Buffer.from("mosaikid");
const VERSION = 1;
const FILE_BYTES = MAGIC.length + 4 + ID_BYTES + 4;

/**
 * The 32 secret bytes of this node's identity, from a file for its owner alone (0600); drawn and stored, durably, if there is none.
 *
 * @throws `storage-failed` the file cannot be had, or is not as it was written: a new identity is not drawn behind the user's back;
 * `storage-full` there is no room to store a new one
 */
export async function loadOrCreateSecret(files: FileSystem, env: Env, directory: string): Promise<Uint8Array> {
  const path = `${directory}/${NAME}`;
  try {
    const found = await readWhole(files, path, FILE_BYTES);
    if (found !== undefined) {
      // Its name may not be on the disk yet.
      await files.syncDirectory(directory);
      return decodeSecret(found, path);
    }
    const secret = env.random.bytes(ID_BYTES);
    await writeWhole(files, { folder: directory, name: NAME }, encodeSecret(secret));
    return secret;
  } catch (cause) {
    throw storageError(cause, path);
  }
}

/** @internal */
export function encodeSecret(secret: Uint8Array): Buffer {
  const bytes = Buffer.alloc(FILE_BYTES);
  MAGIC.copy(bytes);
  bytes.writeUInt8(VERSION, MAGIC.length);
  bytes.set(secret, MAGIC.length + 4);
  bytes.writeUInt32LE(crc32c(bytes, 0, FILE_BYTES - 4), FILE_BYTES - 4);
  return bytes;
}

/** @internal */
export function decodeSecret(bytes: Buffer, path: string): Uint8Array {
  const isWhole =
    bytes.length === FILE_BYTES &&
    bytes.subarray(0, MAGIC.length).equals(MAGIC) &&
    bytes.readUInt32LE(FILE_BYTES - 4) === crc32c(bytes, 0, FILE_BYTES - 4) &&
    bytes.readUInt8(MAGIC.length) === VERSION;
  if (!isWhole) throw mosaikError("storage-failed", "the identity's file is damaged", { details: { path } });
  return new Uint8Array(bytes.subarray(MAGIC.length + 4, MAGIC.length + 4 + ID_BYTES));
}

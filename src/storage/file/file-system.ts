/** What was asked for: `read` an existing file, `write` an existing one, `create` one that may exist (it is not emptied). */
export type OpenMode = "read" | "write" | "create";

/** One open file. Positions are bytes from its start. */
export interface OpenFile {
  /** Bytes of the file now. */
  size(): Promise<number>;
  /** Fills `into` from `position`; fewer bytes only at the end of the file. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** Writes all of `bytes`, or rejects; then any part of it may be there. `bytes` must not change meanwhile. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** The data, and what is needed to find it, survives a power loss. After a failure nothing is known, and no second call tells more. */
  syncData(): Promise<void>;
  close(): Promise<void>;
}

/**
 * The files and folders that the storage driver touches, and all it may do with them. Errors carry Node's codes (`ENOENT`, `ENOSPC`,
 * `EIO`, ...). A name that was made, renamed or removed survives a power loss only after `syncDirectory` of its folder.
 */
export interface FileSystem {
  /** New files are for their owner alone (0600). */
  open(path: string, mode: OpenMode): Promise<OpenFile>;
  /** Makes a folder for its owner alone (0700); well if it is there. Its parent is. */
  makeDirectory(path: string): Promise<void>;
  /** Names in a folder, sorted. */
  list(path: string): Promise<readonly string[]>;
  /** Replaces what has the new name, atomically. */
  rename(from: string, to: string): Promise<void>;
  /** Well if there is none. */
  remove(path: string): Promise<void>;
  syncDirectory(path: string): Promise<void>;
}

/** `cause.code`, as Node's file functions set it. */
export function codeOf(cause: unknown): string | undefined {
  if (typeof cause !== "object" || cause === null || !("code" in cause)) return undefined;
  return typeof cause.code === "string" ? cause.code : undefined;
}

/** The file system, or what this user may have of it, is used up. Room may come back. */
export function isNoRoom(cause: unknown): boolean {
  const code = codeOf(cause);
  return code === "ENOSPC" || code === "EDQUOT";
}

/** Reads a whole file; undefined if there is none. @throws RangeError if it has more than `bytesMax` bytes */
export async function readWhole(files: FileSystem, path: string, bytesMax: number): Promise<Buffer | undefined> {
  let file: OpenFile;
  try {
    file = await files.open(path, "read");
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return undefined;
    throw cause;
  }
  try {
    const size = await file.size();
    if (size > bytesMax) throw new RangeError(`${path} has ${size} bytes, more than ${bytesMax}`);
    const bytes = Buffer.alloc(size);
    const length = await file.read(bytes, 0);
    return bytes.subarray(0, length);
  } finally {
    await file.close();
  }
}

/** Writes a file that is there whole or not at all: under another name, synced, then renamed. */
export async function writeWhole(
  files: FileSystem,
  place: { readonly folder: string; readonly name: string },
  bytes: Uint8Array,
): Promise<void> {
  const part = `${place.folder}/${place.name}.part`;
  await files.remove(part);
  const file = await files.open(part, "create");
  try {
    await file.write(bytes, 0);
    await file.syncData();
  } catch (cause) {
    await file.close();
    await files.remove(part).catch(() => undefined);
    throw cause;
  }
  await file.close();
  await files.rename(part, `${place.folder}/${place.name}`);
  await files.syncDirectory(place.folder);
}

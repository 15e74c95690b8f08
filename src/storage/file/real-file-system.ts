import { close, fdatasync, fstat, fsync, mkdir, open, read, readdir, rename, unlink, write } from "node:fs";
import { codeOf, type FileSystem, type OpenFile, type OpenMode } from "./file-system.ts";

const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

type Done<T> = (error: NodeJS.ErrnoException | null, value: T) => void;

/** Callbacks rather than `node:fs/promises`: a handle costs less, and closes when it is told to. */
function call<T>(start: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => (error === null ? resolve(value) : reject(error)));
  });
}

function callVoid(start: (done: (error: NodeJS.ErrnoException | null) => void) => void): Promise<void> {
  return call<void>((done) => start((error) => done(error, undefined)));
}

/** Tells whether `code` is why; anything else is thrown on. */
function expect(cause: unknown, ...codes: readonly string[]): void {
  if (!codes.includes(codeOf(cause) ?? "")) throw cause;
}

class RealFile implements OpenFile {
  readonly #descriptor: number;
  #isClosed = false;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  async size(): Promise<number> {
    return (await call<{ size: number }>((done) => fstat(this.#open, done))).size;
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    let length = 0;
    while (length < into.length) {
      const count = await call<number>((done) =>
        read(this.#open, into, length, into.length - length, position + length, done),
      );
      if (count === 0) break;
      length += count;
    }
    return length;
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      at += await call<number>((done) => write(this.#open, bytes, at, bytes.length - at, position + at, done));
    }
  }

  syncData(): Promise<void> {
    return callVoid((done) => fdatasync(this.#open, done));
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await callVoid((done) => close(this.#descriptor, done));
  }

  /** A closed descriptor may be somebody else's by now. */
  get #open(): number {
    if (this.#isClosed) throw Object.assign(new Error("the file is closed"), { code: "EBADF" });
    return this.#descriptor;
  }
}

/** The machine's files, through Node's thread pool. */
export function realFileSystem(): FileSystem {
  return {
    open: async (path, mode) => new RealFile(await openDescriptor(path, mode)),
    makeDirectory: async (path) => {
      try {
        await callVoid((done) => mkdir(path, FOLDER_MODE, done));
      } catch (cause) {
        expect(cause, "EEXIST");
      }
    },
    list: async (path) => (await call<string[]>((done) => readdir(path, done))).sort(),
    rename: (from, to) => callVoid((done) => rename(from, to, done)),
    remove: async (path) => {
      try {
        await callVoid((done) => unlink(path, done));
      } catch (cause) {
        expect(cause, "ENOENT");
      }
    },
    syncDirectory: async (path) => {
      const descriptor = await call<number>((done) => open(path, "r", done)).catch((cause: unknown) => {
        // Windows opens no folders, and keeps their entries without being asked.
        expect(cause, "EPERM", "EISDIR", "EACCES");
        return undefined;
      });
      if (descriptor === undefined) return;
      try {
        await callVoid((done) => fsync(descriptor, done));
      } finally {
        await callVoid((done) => close(descriptor, done));
      }
    },
  };
}

async function openDescriptor(path: string, mode: OpenMode): Promise<number> {
  const flags = mode === "read" ? "r" : "r+";
  try {
    return await call<number>((done) => open(path, flags, done));
  } catch (cause) {
    if (mode !== "create") throw cause;
    expect(cause, "ENOENT");
    return call<number>((done) => open(path, "wx+", FILE_MODE, done));
  }
}

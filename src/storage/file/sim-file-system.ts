import { assert, type SeededRandom } from "../../env/index.ts";
import type { FileSystem, OpenFile, OpenMode } from "./file-system.ts";
import { type Folder, isFolder, type Losses, SECTOR_BYTES, SimFile, SimFolders } from "./sim-folders.ts";

export interface SimFileSystemOptions {
  readonly random: SeededRandom;
  /** How long each call takes. Default: a few turns of the microtask queue, by chance. */
  readonly pause?: (step: string) => Promise<void>;
  /** Told of each call, for a trace. */
  readonly onStep?: (step: string) => void;
}

/** What a crashed process waits for. */
const never = (): Promise<never> => new Promise(() => {});

function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}

/**
 * A file system in memory that keeps exactly what it must: data that was synced, and names whose folder was synced. After a crash each
 * sector of 512 bytes that was written since is there or not, by chance, and so is each new name. After a failed sync the data looks
 * written, and is gone at the crash, as on Linux. Each call is a numbered step; one may be told to fail, or to be the last before a crash.
 */
export class SimFileSystem implements FileSystem {
  readonly #random: SeededRandom;
  readonly #pause: (step: string) => Promise<void>;
  readonly #onStep: (step: string) => void;
  readonly #folders: SimFolders;
  /** Of the process: calls of an earlier one never end. */
  #life = 0;
  #steps = 0;
  #crashAt: number | undefined;
  #end: "power" | "kill" = "power";
  #failAt: number | undefined;
  #roomBytes = Number.MAX_SAFE_INTEGER;
  #spareBytes = Number.MAX_SAFE_INTEGER;
  #onCrash: () => void = () => {};
  #losses: Losses = { lost: 0, torn: 0 };

  constructor({ random, pause, onStep }: SimFileSystemOptions) {
    this.#random = random;
    this.#folders = new SimFolders(random);
    this.#onStep = onStep ?? (() => {});
    this.#pause =
      pause ??
      (async () => {
        for (let turns = random.below(4); turns > 0; turns--) await undefined;
      });
  }

  /** Calls so far. */
  get steps(): number {
    return this.#steps;
  }
  /** Bytes of all files. */
  get usedBytes(): number {
    return this.#folders.usedBytes;
  }
  /** Pieces of files, and names, that a power loss may take. */
  get unsynced(): number {
    return this.#folders.files().reduce((sum, { file }) => sum + file.unsyncedPieces, this.#folders.unsyncedNames);
  }
  /** A write to such a file would be torn if the power went now. */
  isTearable(pattern: RegExp): boolean {
    return this.#folders.files().some(({ path, file }) => pattern.test(path) && file.isTearable);
  }
  /** A call failed in this life. */
  get hasFailed(): boolean {
    return this.#failAt !== undefined && this.#steps >= this.#failAt;
  }
  /** Of all power losses since this was asked last. */
  takeLosses(): Losses {
    const losses = this.#losses;
    this.#losses = { lost: 0, torn: 0 };
    return losses;
  }
  /** Makes a folder, durably and at once: the world was made with it. */
  furnish(path: string): void {
    this.#folders.makeFolder(path);
    this.#folders.syncAll();
  }
  /** Files may not grow beyond this, all together; once they have, there are no new names either. */
  setRoom(bytes: number): void {
    this.#roomBytes = bytes;
  }
  /** Files may not grow by more than this from now on, whatever is removed: somebody else takes it. */
  setSpare(bytes: number): void {
    this.#spareBytes = bytes;
  }
  /** The `steps`-th call from now fails with EIO. */
  failAfter(steps: number): void {
    this.#failAt = this.#steps + steps;
  }
  /** The power is lost, or the process is killed, at the `steps`-th call from now, before or after it had its effect. */
  crashAfter(steps: number, end: "power" | "kill" = "power"): Promise<void> {
    this.#crashAt = this.#steps + steps;
    this.#end = end;
    return new Promise((resolve) => {
      this.#onCrash = resolve;
    });
  }
  /** The power is lost: what was not synced is there or not, sector by sector. @param options.isTearing - no write that can be torn is spared */
  crash({ isTearing = false }: { readonly isTearing?: boolean } = {}): void {
    const { lost, torn } = this.#folders.crash(isTearing);
    this.#losses.lost += lost;
    this.#losses.torn += torn;
    this.kill();
  }
  /** The process is killed: what it wrote stays, but is not synced. */
  kill(): void {
    this.#life++;
    this.#crashAt = undefined;
    this.#failAt = undefined;
    this.#onCrash();
  }
  /** Turns one bit of a file, on the disk and in memory. */
  flip(path: string, bit: number): void {
    this.#folders.file(path)?.flip(bit);
  }
  /** All that would survive a crash now. */
  copy(): Folder {
    return this.#folders.copy();
  }
  /** Instead of all that is there. */
  putBack(copy: Folder): void {
    this.#folders.putBack(copy);
  }
  /** Removes a file, durably. */
  lose(path: string): void {
    this.#folders.set(path, undefined);
    this.#folders.syncAll();
  }
  /** Of a file, now. */
  bytes(path: string): Buffer | undefined {
    return this.#folders.file(path)?.bytes;
  }
  /** All files and their bytes, as of now. Folders too, without bytes. */
  paths(): readonly string[] {
    return this.#folders.paths();
  }

  open(path: string, mode: OpenMode): Promise<OpenFile> {
    return this.#io(`open ${mode} ${path}`, () => {
      let file = this.#folders.find(path);
      if (file === undefined) {
        if (mode !== "create") throw failure("ENOENT", path);
        this.#checkRoom(path);
        file = new SimFile(this.#random);
        this.#folders.set(path, file);
      }
      if (isFolder(file)) throw failure("EISDIR", path);
      return this.#handle(path, file);
    });
  }

  makeDirectory(path: string): Promise<void> {
    return this.#io(`mkdir ${path}`, () => {
      if (this.#folders.find(path) !== undefined) return;
      this.#checkRoom(path);
      this.#folders.makeFolder(path);
    });
  }

  list(path: string): Promise<readonly string[]> {
    return this.#io(`list ${path}`, () => [...this.#folder(path).now.keys()].sort());
  }

  rename(from: string, to: string): Promise<void> {
    return this.#io(`rename ${from} ${to}`, () => {
      if (this.#folders.find(from) === undefined) throw failure("ENOENT", from);
      this.#folders.rename(from, to);
    });
  }

  remove(path: string): Promise<void> {
    return this.#io(`remove ${path}`, () => {
      if (this.#folders.find(path) !== undefined) this.#folders.set(path, undefined);
    });
  }

  syncDirectory(path: string): Promise<void> {
    return this.#io(`sync-directory ${path}`, () => this.#folders.sync(this.#folder(path)));
  }

  #folder(path: string): Folder {
    const folder = this.#folders.find(path);
    if (folder === undefined) throw failure("ENOENT", path);
    if (!isFolder(folder)) throw failure("ENOTDIR", path);
    return folder;
  }

  #handle(path: string, file: SimFile): OpenFile {
    const life = this.#life;
    let isClosed = false;
    const io = <T>(what: string, effect: () => T, onFailure?: () => void): Promise<T> => {
      if (life !== this.#life) return never();
      assert(!isClosed, `${what} of an open file: ${path}`);
      return this.#io(`${what} ${path}`, effect, onFailure);
    };
    return {
      size: () => io("size", () => file.bytes.length),
      read: (into, position) => io("read", () => file.read(into, position)),
      write: (bytes, position) => {
        const copy = Buffer.from(bytes);
        return io(
          `write ${position}+${bytes.length}`,
          () => this.#write(path, file, copy, position),
          () => file.write(copy.subarray(0, this.#partOf(copy.length, position)), position),
        );
      },
      syncData: () =>
        io(
          "sync",
          () => file.sync(),
          () => file.forgetUnsynced(),
        ),
      close: async () => {
        if (isClosed || life !== this.#life) return;
        isClosed = true;
      },
    };
  }

  /** How much of a failed write is there: it ends with a sector, since memory is copied in pages. */
  #partOf(length: number, position: number): number {
    const end = position + this.#random.below(length + 1);
    return Math.max(0, end - (end % SECTOR_BYTES) - position);
  }

  get #room(): number {
    const { MAX_SAFE_INTEGER: endless } = Number;
    const room = this.#roomBytes === endless ? endless : Math.max(0, this.#roomBytes - this.usedBytes);
    return Math.min(room, this.#spareBytes);
  }

  #checkRoom(path: string): void {
    if (this.#room === 0) throw failure("ENOSPC", path);
  }

  #write(path: string, file: SimFile, bytes: Buffer, position: number): void {
    const growth = Math.max(0, position + bytes.length - file.bytes.length);
    if (growth === 0) return file.write(bytes, position);
    const room = this.#room;
    if (this.#spareBytes < Number.MAX_SAFE_INTEGER) this.#spareBytes -= Math.min(growth, room);
    if (growth <= room) return file.write(bytes, position);
    // As on a real one, a part may be there.
    file.write(bytes.subarray(0, Math.max(0, bytes.length - growth + room)), position);
    throw failure("ENOSPC", path);
  }

  /** @param onFailure - what a call that fails does all the same */
  async #io<T>(what: string, effect: () => T, onFailure: () => void = () => {}): Promise<T> {
    const life = this.#life;
    await this.#pause(what);
    if (life !== this.#life) return never();
    this.#steps++;
    if (this.#steps === this.#crashAt) {
      const isDone = this.#random.chance(1, 2);
      this.#onStep(`${this.#steps} ${what}: ${this.#end} ${isDone ? "after" : "before"}`);
      if (isDone) effect();
      if (this.#end === "power") this.crash();
      else this.kill();
      return never();
    }
    if (this.#steps === this.#failAt) {
      this.#onStep(`${this.#steps} ${what} EIO`);
      onFailure();
      throw failure("EIO", what);
    }
    this.#onStep(`${this.#steps} ${what}`);
    return effect();
  }
}

import { assert, type SeededRandom } from "../../env/index.ts";

export const SECTOR_BYTES = 512;

/** Of a crash: pieces of a sector and names that are gone, and files in which something of one write is gone, and something is there. */
export interface Losses {
  lost: number;
  torn: number;
}

/** Folders and files by name: as the process sees them, and as they are on the disk. */
export interface Folder {
  now: Map<string, SimFile | Folder>;
  durable: Map<string, SimFile | Folder>;
}

export function isFolder(node: SimFile | Folder): node is Folder {
  return !(node instanceof SimFile);
}

/** A name that was given or taken, and is not durable. A rename is two, which are durable together. */
interface Renaming {
  readonly parts: readonly {
    readonly folder: Folder;
    readonly name: string;
    readonly node: SimFile | Folder | undefined;
  }[];
}

/** Which of the things that were not synced survive a crash. */
type Luck = "none" | "all" | "first" | "last" | "any";
const LUCKS: readonly Luck[] = ["none", "all", "first", "last", "any"];

function drawLuck(random: SeededRandom, count: number): (at: number) => boolean {
  const luck = LUCKS[random.below(LUCKS.length)];
  const cut = random.below(count + 1);
  if (luck === "first") return (at) => at < cut;
  if (luck === "last") return (at) => at >= cut;
  if (luck === "any") return () => random.chance(1, 2);
  return () => luck === "all";
}

/** Some survive, and some do not, if there are two. */
function drawTear(random: SeededRandom, count: number): (at: number) => boolean {
  const cut = count < 2 ? 0 : random.between(1, count - 1);
  return random.chance(1, 2) ? (at) => at < cut : (at) => at >= cut;
}

/** One file's bytes. */
export class SimFile {
  readonly #random: SeededRandom;
  #now: Buffer = Buffer.alloc(0);
  #durable: Buffer = Buffer.alloc(0);
  /** Since the last sync, in order; each within one sector. */
  #unsynced: { readonly position: number; readonly bytes: Buffer }[] = [];

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  get bytes(): Buffer {
    return this.#now;
  }

  /** Another file with what is durable of this one. */
  copy(): SimFile {
    const copy = new SimFile(this.#random);
    copy.#durable = Buffer.from(this.#durable);
    copy.#now = Buffer.from(this.#durable);
    return copy;
  }

  read(into: Uint8Array, position: number): number {
    const part = this.#now.subarray(position, position + into.length);
    into.set(part);
    return part.length;
  }

  write(bytes: Buffer, position: number): void {
    this.#now = put(this.#now, bytes, position);
    for (let at = 0; at < bytes.length; ) {
      const end = Math.min(bytes.length, at + SECTOR_BYTES - ((position + at) % SECTOR_BYTES));
      this.#unsynced.push({ position: position + at, bytes: bytes.subarray(at, end) });
      at = end;
    }
  }

  /** What an earlier sync failed to write is clean to the kernel, and stays lost. */
  sync(): void {
    for (const { position, bytes } of this.#unsynced) this.#durable = put(this.#durable, bytes, position);
    this.#unsynced = [];
  }

  /** A sync failed: some made it, the others never will, and nobody is told which. */
  forgetUnsynced(): void {
    this.#persistSome();
  }

  crash(losses: Losses, isTearing: boolean): void {
    const { lost, kept } = this.#persistSome(isTearing);
    losses.lost += lost;
    if (lost > 0 && kept > 0) losses.torn++;
    this.#now = Buffer.from(this.#durable);
  }

  /** At the next crash some of what is not synced is there, and some is not. */
  get isTearable(): boolean {
    return new Set(this.#unsynced.map(({ position }) => Math.floor(position / SECTOR_BYTES))).size > 1;
  }
  get unsyncedPieces(): number {
    return this.#unsynced.length;
  }

  flip(bit: number): void {
    for (const bytes of [this.#now, this.#durable]) {
      const at = bit >> 3;
      if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7));
    }
  }

  /** A sector shows its writes up to some point: none, all, or, with a write in between, an earlier one. */
  #persistSome(isTearing = false): { readonly lost: number; readonly kept: number } {
    const sectors = new Map<number, { readonly position: number; readonly bytes: Buffer }[]>();
    for (const piece of this.#unsynced) {
      const number = Math.floor(piece.position / SECTOR_BYTES);
      const pieces = sectors.get(number);
      if (pieces === undefined) sectors.set(number, [piece]);
      else pieces.push(piece);
    }
    const isLucky = isTearing ? drawTear(this.#random, sectors.size) : drawLuck(this.#random, sectors.size);
    let at = 0;
    let kept = 0;
    for (const pieces of sectors.values()) {
      const count = isLucky(at++) ? pieces.length : this.#random.below(8) === 0 ? pieces.length - 1 : 0;
      for (const { position, bytes } of pieces.slice(0, count)) this.#durable = put(this.#durable, bytes, position);
      kept += count;
    }
    const lost = this.#unsynced.length - kept;
    this.#unsynced = [];
    return { lost, kept };
  }
}

/** `into` with `bytes` at `position`, longer if it must be. */
function put(into: Buffer, bytes: Buffer, position: number): Buffer {
  let target = into;
  if (position + bytes.length > into.length) {
    target = Buffer.alloc(position + bytes.length);
    into.copy(target);
  }
  target.set(bytes, position);
  return target;
}

/** The tree of names. Paths begin with a slash. */
export class SimFolders {
  readonly #random: SeededRandom;
  #root: Folder = { now: new Map(), durable: new Map() };
  #unsynced: Renaming[] = [];

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  get usedBytes(): number {
    return this.files().reduce((sum, { file }) => sum + file.bytes.length, 0);
  }

  find(path: string): SimFile | Folder | undefined {
    let node: SimFile | Folder | undefined = this.#root;
    for (const name of namesOf(path)) node = node !== undefined && isFolder(node) ? node.now.get(name) : undefined;
    return node;
  }

  file(path: string): SimFile | undefined {
    const node = this.find(path);
    return node === undefined || isFolder(node) ? undefined : node;
  }

  /** Names that are not durable. */
  get unsyncedNames(): number {
    return this.#unsynced.length;
  }

  /** All files. */
  files(): readonly { readonly path: string; readonly file: SimFile }[] {
    return this.paths().flatMap((path) => {
      const file = this.file(path);
      return file === undefined ? [] : [{ path, file }];
    });
  }

  paths(): readonly string[] {
    const paths: string[] = [];
    const walk = (folder: Folder, prefix: string): void => {
      for (const [name, node] of folder.now) {
        paths.push(`${prefix}/${name}`);
        if (isFolder(node)) walk(node, `${prefix}/${name}`);
      }
    };
    walk(this.#root, "");
    return paths.sort();
  }

  makeFolder(path: string): void {
    this.set(path, { now: new Map(), durable: new Map() });
  }

  /** Gives or takes a name. */
  set(path: string, node: SimFile | Folder | undefined): void {
    this.#change([{ ...this.#placeOf(path), node }]);
  }

  rename(from: string, to: string): void {
    this.#change([
      { ...this.#placeOf(from), node: undefined },
      { ...this.#placeOf(to), node: this.find(from) },
    ]);
  }

  sync(folder: Folder): void {
    const isHere = ({ parts }: Renaming): boolean => parts.some((part) => part.folder === folder);
    for (const renaming of this.#unsynced.filter(isHere)) persist(renaming);
    this.#unsynced = this.#unsynced.filter((renaming) => !isHere(renaming));
  }

  syncAll(): void {
    for (const renaming of this.#unsynced.splice(0)) persist(renaming);
  }

  copy(): Folder {
    return copyOf(this.#root);
  }

  putBack(copy: Folder): void {
    this.#root = copyOf(copy);
    this.#unsynced = [];
  }

  crash(isTearing: boolean): Losses {
    const losses = { lost: 0, torn: 0 };
    const isLucky = drawLuck(this.#random, this.#unsynced.length);
    for (const [at, renaming] of this.#unsynced.entries()) {
      if (isLucky(at)) persist(renaming);
      else losses.lost++;
    }
    this.#unsynced = [];
    restore(this.#root, losses, isTearing);
    return losses;
  }

  #change(parts: Renaming["parts"]): void {
    for (const { folder, name, node } of parts) give(folder.now, name, node);
    this.#unsynced.push({ parts });
  }

  #placeOf(path: string): { folder: Folder; name: string } {
    const names = namesOf(path);
    const name = names.pop();
    const folder = this.find(`/${names.join("/")}`);
    assert(name !== undefined && folder !== undefined && isFolder(folder), `the folder of ${path} is there`);
    return { folder, name };
  }
}

function copyOf({ durable }: Folder): Folder {
  const copied = [...durable].map(([name, node]) => [name, isFolder(node) ? copyOf(node) : node.copy()] as const);
  return { now: new Map(copied), durable: new Map(copied) };
}

function namesOf(path: string): string[] {
  return path.split("/").filter((name) => name !== "");
}

function give(names: Map<string, SimFile | Folder>, name: string, node: SimFile | Folder | undefined): void {
  if (node === undefined) names.delete(name);
  else names.set(name, node);
}

function persist({ parts }: Renaming): void {
  for (const { folder, name, node } of parts) give(folder.durable, name, node);
}

/** After a crash the process sees what is on the disk. */
function restore(folder: Folder, losses: Losses, isTearing: boolean): void {
  folder.now = new Map(folder.durable);
  for (const node of folder.now.values()) {
    if (isFolder(node)) restore(node, losses, isTearing);
    else node.crash(losses, isTearing);
  }
}

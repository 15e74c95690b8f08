import { assert, type SeededRandom } from "../../env/index.ts";

const SECTOR_BYTES = 512;

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

  sync(): void {
    this.#durable = Buffer.from(this.#now);
    this.#unsynced = [];
  }

  /** A sync failed: some made it, the others never will, and nobody is told which. */
  forgetUnsynced(): void {
    this.#persistSome();
  }

  crash(): void {
    this.#persistSome();
    this.#now = Buffer.from(this.#durable);
  }

  flip(bit: number): void {
    for (const bytes of [this.#now, this.#durable]) {
      const at = bit >> 3;
      if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7));
    }
  }

  /** A sector shows its writes up to some point: none, all, or, with a write in between, an earlier one. */
  #persistSome(): void {
    const sectors = new Map<number, { readonly position: number; readonly bytes: Buffer }[]>();
    for (const piece of this.#unsynced) {
      const number = Math.floor(piece.position / SECTOR_BYTES);
      const pieces = sectors.get(number);
      if (pieces === undefined) sectors.set(number, [piece]);
      else pieces.push(piece);
    }
    const isLucky = drawLuck(this.#random, sectors.size);
    let at = 0;
    for (const pieces of sectors.values()) {
      const count = isLucky(at++) ? pieces.length : this.#random.below(8) === 0 ? pieces.length - 1 : 0;
      for (const { position, bytes } of pieces.slice(0, count)) this.#durable = put(this.#durable, bytes, position);
    }
    this.#unsynced = [];
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
  readonly #root: Folder = { now: new Map(), durable: new Map() };
  #unsynced: Renaming[] = [];

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  get usedBytes(): number {
    let bytes = 0;
    for (const path of this.paths()) bytes += this.file(path)?.bytes.length ?? 0;
    return bytes;
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

  crash(): void {
    const isLucky = drawLuck(this.#random, this.#unsynced.length);
    for (const [at, renaming] of this.#unsynced.entries()) if (isLucky(at)) persist(renaming);
    this.#unsynced = [];
    restore(this.#root);
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
function restore(folder: Folder): void {
  folder.now = new Map(folder.durable);
  for (const node of folder.now.values()) {
    if (isFolder(node)) restore(node);
    else node.crash();
  }
}

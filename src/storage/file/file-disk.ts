import type { Env, SeededRandom } from "../../env/index.ts";
import { ID_BYTES } from "../../identity/index.ts";
import { type CrashEffect, type NodeDisk, type SyncDelay, USUAL_READ_DELAY, USUAL_SYNC_DELAY } from "../node-disk.ts";
import type { StorageFactory } from "../types.ts";
import { fileStorageFactory } from "./data-directory.ts";
import type { SegmentSizes } from "./room.ts";
import { SimFileSystem } from "./sim-file-system.ts";
import type { Folder } from "./sim-folders.ts";

const DIRECTORY = "/data";
/** So small that a run goes through many of them. */
const SIZES: SegmentSizes = { bytesMin: 16 * 1024, bytesMax: 64 * 1024, reserveBytes: 4 * 1024 };
const SYNCS = /^sync/;
const STORED = /\/groups\/.*\/(log|snapshot)-/;

/** A node's disk in the simulator, with the product's own stores on files: only the files are not real. */
export class FileDisk implements NodeDisk {
  readonly identitySeed: Uint8Array;
  readonly files: SimFileSystem;
  readonly #random: SeededRandom;
  #env: Env | undefined;
  #delay = USUAL_SYNC_DELAY;
  #isTearing = false;
  #decays = 0;

  /** @param onStep - told of each call, for the trace */
  constructor(random: SeededRandom, onStep: (step: string) => void = () => {}) {
    this.identitySeed = random.fork("identity").bytes(ID_BYTES);
    this.#random = random.fork("disk");
    this.files = new SimFileSystem({ random: random.fork("files"), onStep, pause: (step) => this.#pause(step) });
    this.files.furnish(DIRECTORY);
  }

  get steps(): number {
    return this.files.steps;
  }
  get changesUnderWay(): number {
    return this.files.unsynced;
  }
  get hasFailed(): boolean {
    return this.files.hasFailed;
  }

  get decays(): number {
    return this.#decays;
  }

  storage(env: Env): StorageFactory {
    this.#env = env;
    return fileStorageFactory(env, this.files, DIRECTORY, SIZES);
  }

  setSyncDelay(delay: SyncDelay = USUAL_SYNC_DELAY): void {
    this.#delay = delay;
  }

  setRoom(bytes?: number): void {
    this.files.setSpare(bytes ?? Number.MAX_SAFE_INTEGER);
  }

  /** Only that one fails: whoever goes on as if nothing had happened is found out. */
  failAfter(steps: number): void {
    this.files.failAfter(steps + 1);
  }

  /** The power is lost; or, now and then, only the process: then what it wrote is there, but may go with the next one. */
  crash(): void {
    const isTearing = this.#isTearing;
    this.#isTearing = false;
    if (!isTearing && this.#random.chance(1, 4)) this.files.kill();
    else this.files.crash({ isTearing });
  }

  /** A record is under way that is longer than a sector. */
  get isTearable(): boolean {
    return this.files.isTearable(STORED);
  }

  /** The next crash is a power loss that leaves such records in part. */
  tearAtCrash(): void {
    this.#isTearing = true;
  }

  /** The power is lost, or the process dies, at the `steps`-th call from now. Resolves then. */
  crashAfter(steps: number): Promise<void> {
    return this.files.crashAfter(steps, this.#random.chance(1, 4) ? "kill" : "power");
  }

  /** All that is on it, to be put back later. */
  copy(): Folder {
    return this.files.copy();
  }
  /** While the node is down. */
  putBack(copy: Folder): void {
    this.files.putBack(copy);
  }

  takeEffects(): CrashEffect {
    return this.files.takeLosses();
  }

  /**
   * One bit of a store's files decays, somewhere in what is not zero.
   *
   * @returns where; undefined if there is nothing yet
   */
  decay(): string | undefined {
    const paths = this.files.paths().filter((path) => STORED.test(path));
    const path = paths.length === 0 ? undefined : this.#random.pick(paths);
    const bytes = path === undefined ? undefined : this.files.bytes(path);
    if (path === undefined || bytes === undefined) return undefined;
    const used = [...bytes.keys()].filter((at) => bytes[at] !== 0);
    if (used.length === 0) return undefined;
    const bit = this.#random.pick(used) * 8 + this.#random.below(8);
    this.files.flip(path, bit);
    this.#decays++;
    return `bit ${bit} of ${path}`;
  }

  /** Calls of one life take its time: after a crash they never end. */
  #pause(step: string): Promise<void> {
    const { fromUs, toUs } = SYNCS.test(step) ? this.#delay : USUAL_READ_DELAY;
    const delayMs = this.#random.between(fromUs, toUs) / 1000;
    return new Promise((resolve) => this.#env?.after(delayMs, resolve));
  }
}

/** How a store's folder comes, goes out of the way, and is opened. */
import type { Env } from "../../env/index.ts";
import type { UniqueId } from "../../identity/index.ts";
import { drawOpeningId, drawStoreId } from "../memory.ts";
import type { SetAside } from "../types.ts";
import { FileStorage } from "./file-storage.ts";
import { type FileSystem, writeWhole } from "./file-system.ts";
import { DAMAGED, NEXT_SEGMENT, REASON } from "./layout.ts";
import type { Marks } from "./records.ts";
import { DamagedStore, type Recovered, recover } from "./recovery.ts";
import { Room, type SegmentSizes } from "./room.ts";
import { SegmentLog } from "./segment-log.ts";
import { StoreView } from "./store-view.ts";
import { storageError } from "./write-queue.ts";

const REASON_CHARACTERS_MAX = 1_000;

/** Where the stores of one data directory lie. */
export interface StorePlace {
  readonly env: Env;
  readonly files: FileSystem;
  /** Exists. */
  readonly directory: string;
  readonly sizes: SegmentSizes;
}

/**
 * Opens the store of a group, or draws a new one, also in place of a damaged one.
 *
 * @throws `storage-failed`, `storage-full`
 */
export async function openStore(place: StorePlace, group: UniqueId, onClosed: () => void): Promise<FileStorage> {
  const folder = `${place.directory}/groups/${group}`;
  try {
    await makeFolders(place, folder);
    let recovered: Recovered | undefined;
    let predecessor: SetAside | undefined;
    try {
      recovered = await recover(place.files, folder);
    } catch (cause) {
      if (!(cause instanceof DamagedStore)) throw cause;
      const path = await moveAside(place, group, cause.message);
      predecessor = { storeId: cause.storeId, reason: cause.message, path };
      await makeFolders(place, folder);
    }
    const parts = recovered === undefined ? await create(place, folder) : await resume(place, folder, recovered);
    const aside = async (reason: string): Promise<void> => void (await moveAside(place, group, reason));
    const { env, files } = place;
    return new FileStorage({
      ...parts,
      env,
      files,
      folder,
      predecessor,
      moveAside: aside,
      noteDamage: (reason) => noteReason(files, folder, DAMAGED, reason),
      onClosed,
    });
  } catch (cause) {
    throw storageError(cause, folder);
  }
}

async function makeFolders({ files, directory }: StorePlace, folder: string): Promise<void> {
  await files.makeDirectory(`${directory}/groups`);
  await files.syncDirectory(directory);
  await files.makeDirectory(folder);
  await files.syncDirectory(`${directory}/groups`);
}

interface StoreParts {
  readonly log: SegmentLog;
  readonly room: Room;
  readonly view: StoreView;
}

async function create({ env, files, sizes }: StorePlace, folder: string): Promise<StoreParts> {
  for (const name of await files.list(folder)) if (name !== NEXT_SEGMENT) await files.remove(`${folder}/${name}`);
  const nowhere = { index: 0, term: 0 };
  const marks: Marks = {
    storeId: drawStoreId(env),
    incarnation: undefined,
    hardState: { term: 0, votedFor: undefined },
    boundary: nowhere,
    last: nowhere,
    snapshot: undefined,
    openingIds: [drawOpeningId(env)],
    openingCount: 1,
  };
  const log = new SegmentLog(files, folder, env.random, []);
  await beginSegment(log, marks, sizes.bytesMin);
  return { log, room: new Room(sizes, sizes.bytesMin, log.position), view: new StoreView(marks) };
}

/** @throws `storage-full` */
async function beginSegment(log: SegmentLog, marks: Marks, bytes: number): Promise<void> {
  try {
    if (!(await log.prepareNext(bytes))) throw Object.assign(new Error("no room for a segment"), { code: "ENOSPC" });
    await log.rotate(marks);
  } catch (cause) {
    await log.close();
    throw cause;
  }
}

async function resume({ env, files, sizes }: StorePlace, folder: string, recovered: Recovered): Promise<StoreParts> {
  const { sequences, tail, index, snapshot } = recovered;
  // Names that were found may not be on the disk yet.
  await files.syncDirectory(folder);
  for (const name of recovered.strays) await files.remove(`${folder}/${name}`);
  const log = new SegmentLog(files, folder, env.random, sequences);
  const view = new StoreView(recovered.marks, index, snapshot);
  const opening = { records: [{ type: "opening", id: drawOpeningId(env) } as const] };
  let bytes = tail.bytes.length;
  try {
    await log.resume(tail);
    if (tail.bytes.length - tail.end < sizes.reserveBytes / 16) {
      // Hardly room for a vote: begin the next one now.
      bytes = new Room(sizes, bytes, tail.end).nextBytes(0);
      await beginSegment(log, recovered.marks, bytes);
    }
    await log.append(opening.records, () => {});
  } catch (cause) {
    await log.close();
    throw cause;
  }
  view.apply(opening, log.sequence);
  return { log, view, room: new Room(sizes, bytes, log.position) };
}

/** Renames the store's folder, so that nobody opens it again. What is in it stays as it is, for people to look at. */
async function moveAside({ files, directory }: StorePlace, group: UniqueId, reason: string): Promise<string> {
  const folder = `${directory}/groups/${group}`;
  const aside = `${directory}/aside`;
  await files.makeDirectory(aside);
  await files.syncDirectory(directory);
  // For people only: without it the store is put aside all the same.
  await noteReason(files, folder, REASON, reason).catch(() => undefined);
  await files.remove(`${folder}/${NEXT_SEGMENT}`);
  const taken = new Set(await files.list(aside));
  let number = 1;
  while (taken.has(`${group}-${number}`)) number++;
  const path = `${aside}/${group}-${number}`;
  await files.rename(folder, path);
  await files.syncDirectory(aside);
  await files.syncDirectory(`${directory}/groups`);
  return path;
}

function noteReason(files: FileSystem, folder: string, name: string, reason: string): Promise<void> {
  return writeWhole(files, { folder, name }, Buffer.from(reason.slice(0, REASON_CHARACTERS_MAX)));
}

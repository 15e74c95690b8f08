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
/** Folders of stores: those in use, and those that are written to take the place of one. */
const GROUPS = "groups";
const STAGED = "successors";

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
  const folder = folderOf(place, group);
  try {
    await settle(place, group);
    await makeFolders(place, GROUPS, group);
    let recovered: Recovered | undefined;
    let predecessor: SetAside | undefined;
    try {
      recovered = await recover(place.files, folder);
    } catch (cause) {
      if (!(cause instanceof DamagedStore)) throw cause;
      const path = await moveAside(place, group, cause.message);
      predecessor = { storeId: cause.storeId, reason: cause.message, path };
      await makeFolders(place, GROUPS, group);
    }
    const parts = recovered === undefined ? await create(place, folder) : await resume(place, folder, recovered);
    return makeStorage(place, group, { folder, parts, predecessor, onClosed });
  } catch (cause) {
    throw storageError(cause, folder);
  }
}

function makeStorage(
  place: StorePlace,
  group: UniqueId,
  opened: { folder: string; parts: StoreParts; predecessor?: SetAside | undefined; onClosed: () => void },
): FileStorage {
  const { env, files } = place;
  const { folder, parts, predecessor, onClosed } = opened;
  return new FileStorage({
    ...parts,
    env,
    files,
    folder,
    predecessor,
    moveAside: async (reason) => {
      // Or it would be taken for what follows this one.
      await unstage(place, group);
      await moveAside(place, group, reason);
    },
    stage: () => stage(place, group),
    unstage: () => unstage(place, group),
    succeed: async (reason) => {
      await moveAside(place, group, reason);
      await putInPlace(place, group);
    },
    noteDamage: (reason) => noteReason(files, folder, DAMAGED, reason),
    onClosed,
  });
}

// ── A store that is to take the place of another ──

/** @throws `storage-failed`, `storage-full` */
async function stage(place: StorePlace, group: UniqueId): Promise<FileStorage> {
  const folder = `${place.directory}/${STAGED}/${group}`;
  try {
    await makeFolders(place, STAGED, group);
    const parts = await create(place, folder);
    return makeStorage(place, group, { folder, parts, onClosed: () => {} });
  } catch (cause) {
    throw storageError(cause, folder);
  }
}

async function isStaged({ files, directory }: StorePlace, group: UniqueId): Promise<boolean> {
  if (!(await files.list(directory)).includes(STAGED)) return false;
  return (await files.list(`${directory}/${STAGED}`)).includes(group);
}

/** Nothing of it is found again. The folder stays, empty. */
async function unstage(place: StorePlace, group: UniqueId): Promise<void> {
  if (!(await isStaged(place, group))) return;
  const folder = `${place.directory}/${STAGED}/${group}`;
  for (const name of await place.files.list(folder)) await place.files.remove(`${folder}/${name}`);
  await place.files.syncDirectory(folder);
}

/** The one before is out of the way, durably. */
async function putInPlace(place: StorePlace, group: UniqueId): Promise<void> {
  const { files, directory } = place;
  await files.rename(`${directory}/${STAGED}/${group}`, folderOf(place, group));
  await files.syncDirectory(`${directory}/${GROUPS}`);
  await files.syncDirectory(`${directory}/${STAGED}`);
}

/** A crash may have come before a staged store was whole: then the one before it is still there. Or after that was put out of the way. */
async function settle(place: StorePlace, group: UniqueId): Promise<void> {
  if (!(await isStaged(place, group))) return;
  const isBefore = (await place.files.list(`${place.directory}/${GROUPS}`)).includes(group);
  if (isBefore) await unstage(place, group);
  else await putInPlace(place, group);
}

function folderOf({ directory }: StorePlace, group: UniqueId): string {
  return `${directory}/${GROUPS}/${group}`;
}

async function makeFolders({ files, directory }: StorePlace, kind: string, group: UniqueId): Promise<void> {
  await files.makeDirectory(`${directory}/${kind}`);
  await files.syncDirectory(directory);
  await files.makeDirectory(`${directory}/${kind}/${group}`);
  await files.syncDirectory(`${directory}/${kind}`);
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
async function moveAside(place: StorePlace, group: UniqueId, reason: string): Promise<string> {
  const { files, directory } = place;
  const folder = folderOf(place, group);
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
  await files.syncDirectory(`${directory}/${GROUPS}`);
  return path;
}

function noteReason(files: FileSystem, folder: string, name: string, reason: string): Promise<void> {
  return writeWhole(files, { folder, name }, Buffer.from(reason.slice(0, REASON_CHARACTERS_MAX)));
}

/**
 * Stores on files.
 *
 * A group's folder holds a log in segments, zeroed in advance, and at most one snapshot. Whatever changes (entries, votes, truncations,
 * prunings) is a record in the log; what gathers while the disk is busy becomes one frame, with one checksum and one sync, and is there
 * whole after a crash, or not at all. A torn last frame is cut; anything else that does not fit is damage, and a damaged store is put aside
 * and never used again. See docs/design/storage.md.
 */
export { type DataDirectory, fileStorageFactory, openDataDirectory } from "./data-directory.ts";
export { FileDisk } from "./file-disk.ts";
export type { FileSystem, OpenFile, OpenMode } from "./file-system.ts";
export { realFileSystem } from "./real-file-system.ts";

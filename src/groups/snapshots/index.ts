/**
 * Snapshots between members: the store's own, the server that hands out its chunks, and the fetcher that takes them from several at once.
 */
export { SnapshotFetcher } from "./snapshot-fetcher.ts";
export { SnapshotServer } from "./snapshot-server.ts";
export { loadLiveStore, loadOrClose, loadStore, type StoredLog } from "./snapshot-store.ts";
export type { FetchedSnapshot } from "./snapshot-transfer.ts";

/**
 * Snapshots between members: the store's own, the server that hands out its chunks, and the fetcher that takes them from several at once.
 */
export { SnapshotFetcher } from "./fetcher.ts";
export { SnapshotServer } from "./server.ts";
export { loadLiveStore, loadOrClose, loadStore, type StoredLog } from "./store.ts";
export type { FetchedSnapshot } from "./transfer.ts";

/** Names within a group's folder. Nothing else is looked at. */

/** The next segment, zeroed and synced, before it has its place. */
export const NEXT_SEGMENT = "next";
/** Why this store must not be opened as it is. Written when damage is met while the store is open. */
export const DAMAGED = "damaged";
/** Why the store was set aside. */
export const REASON = "reason";

const SEGMENT = /^log-(\d{12})$/;
const SNAPSHOT = /^snapshot-([0-9a-f]{32})(\.part)?$/;

export function segmentName(sequence: number): string {
  return `log-${String(sequence).padStart(12, "0")}`;
}

export function sequenceOf(name: string): number | undefined {
  const digits = SEGMENT.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** @param isPart - its data is still coming */
export function snapshotName(id: string, isPart = false): string {
  return `snapshot-${id}${isPart ? ".part" : ""}`;
}

/** The id of a snapshot's file, or of a part of one. */
export function isSnapshotName(name: string): boolean {
  return SNAPSHOT.test(name);
}

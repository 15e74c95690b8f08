import type { Entry, Envelope, LogPosition, Message, Persist, Ready, SnapshotMark } from "../../src/raft/index.ts";

/** Kind of the bench's configuration entries; the voters' names are the data. */
export const KIND_VOTERS = 1;
/** Kind of its commands; the text is the data. */
export const KIND_COMMAND = 2;

export function printPosition({ index, term }: LogPosition): string {
  return `${index}/${term}`;
}

/** `index/term` and what is in it: nothing for a no-op, the voters in brackets, or the command's text. */
export function printEntry(entry: Entry): string {
  const text = Buffer.from(entry.data).toString();
  const content = entry.kind === KIND_VOTERS ? `[${text}]` : text;
  return content === "" ? printPosition(entry) : `${printPosition(entry)}:${content}`;
}

/** All entries of a short list, and the ends of a long one. */
export function printEntries(entries: readonly Entry[]): string {
  if (entries.length <= 6) return entries.map(printEntry).join(" ");
  const [first, last] = [entries[0], entries[entries.length - 1]];
  return first === undefined || last === undefined
    ? ""
    : `${printEntry(first)} .. ${printEntry(last)} (${entries.length})`;
}

export function printMessage(message: Message): string {
  const head = `${message.type} term=${message.term}`;
  switch (message.type) {
    case "pre-vote":
      return `${head} last=${printPosition(message.last)}`;
    case "vote":
      return `${head} last=${printPosition(message.last)}${message.isTransfer ? " transfer" : ""}`;
    case "pre-vote-reply":
    case "vote-reply":
      return `${head} ${message.granted ? "granted" : "refused"}`;
    case "append": {
      const { prev, commit, round, entries } = message;
      const list = entries.length > 0 ? ` entries ${printEntries(entries)}` : "";
      return `${head} prev=${printPosition(prev)} commit=${commit} round=${round}${list}`;
    }
    case "append-reply": {
      const { index, round, conflict } = message;
      const verdict = conflict === undefined ? "accepted" : `conflict=${printPosition(conflict)}`;
      return `${head} round=${round} ${verdict} index=${index}`;
    }
    case "snapshot":
      return `${head} place=${printPosition(message.place)} round=${message.round}`;
    case "timeout-now":
      return head;
  }
}

export function printMark({ voters, ...place }: SnapshotMark): string {
  return `${printPosition(place)}[${voters.join(",")}]`;
}

export function printEnvelope({ from, to, message }: Envelope): string {
  return `${from}->${to} ${printMessage(message)}`;
}

export function printPersist({ hardState, snapshot, truncateFrom, entries }: Persist): string {
  const parts = ["persist"];
  if (hardState !== undefined) parts.push(`term=${hardState.term} vote=${hardState.votedFor ?? "-"}`);
  if (snapshot !== undefined) parts.push(`snapshot=${printMark(snapshot)}`);
  if (truncateFrom !== undefined) parts.push(`truncate=${truncateFrom}`);
  if (entries.length > 0) parts.push(`entries ${printEntries(entries)}`);
  return parts.join(" ");
}

export function printReady(ready: Ready): string[] {
  const lines: string[] = [];
  if (ready.persist !== undefined) lines.push(printPersist(ready.persist));
  for (const envelope of ready.send) lines.push(printEnvelope(envelope));
  for (const envelope of ready.sendAfterHardState) lines.push(`after hard state: ${printEnvelope(envelope)}`);
  for (const envelope of ready.sendAfterPersist) lines.push(`after persist: ${printEnvelope(envelope)}`);
  if (ready.committed.length > 0) lines.push(`committed ${printEntries(ready.committed)}`);
  if (ready.snapshotWanted !== undefined) lines.push(`wants snapshot ${printPosition(ready.snapshotWanted)}`);
  for (const { id, index } of ready.reads) lines.push(`read ${id} at ${index}`);
  if (ready.readsRefused.length > 0) lines.push(`reads refused ${ready.readsRefused.join(" ")}`);
  if (ready.dropped.length > 0) lines.push(`dropped ${ready.dropped.length}`);
  return lines;
}

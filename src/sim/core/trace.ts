import type { Message, Ready } from "../../raft/index.ts";

/** One line for one message. */
export function describeMessage(message: Message): string {
  switch (message.type) {
    case "append": {
      const { term, prev, entries, commit, round } = message;
      const last = entries[entries.length - 1];
      const range = last === undefined ? "" : ` to=${last.index}/${last.term}`;
      return `append term=${term} prev=${prev.index}/${prev.term}${range} commit=${commit} round=${round}`;
    }
    case "append-reply": {
      const { term, round, conflict, index } = message;
      const hint = conflict === undefined ? "" : ` conflict=${conflict.index}/${conflict.term}`;
      return `append-reply term=${term} round=${round} index=${index}${hint}`;
    }
    case "pre-vote":
    case "vote":
      return `${message.type} term=${message.term} last=${message.last.index}/${message.last.term}`;
    case "pre-vote-reply":
    case "vote-reply":
      return `${message.type} term=${message.term} ${message.granted ? "granted" : "refused"}`;
    case "snapshot":
      return `snapshot term=${message.term} place=${message.place.index}/${message.place.term} round=${message.round}`;
    case "timeout-now":
      return `timeout-now term=${message.term}`;
  }
}

/** What a step did, but for its messages: those are told when they arrive. */
export function describeReady(node: string, ready: Ready): string[] {
  const { persist, committed, snapshotWanted, reads, readsRefused, dropped } = ready;
  const lines: string[] = [];
  if (persist !== undefined) {
    const { writeId, hardState, snapshot, truncateFrom, entries } = persist;
    const vote = hardState === undefined ? "" : ` term=${hardState.term} vote=${hardState.votedFor ?? "-"}`;
    const cut = truncateFrom === undefined ? "" : ` truncate=${truncateFrom}`;
    const place = snapshot === undefined ? "" : ` snapshot=${snapshot.index}/${snapshot.term}`;
    lines.push(`persist ${node} ${writeId}${vote}${place}${cut} entries=${entries.length}`);
  }
  for (const { index, term, kind, data } of committed) {
    lines.push(`apply ${node} ${index}/${term} ${kind}:${Buffer.from(data).toString("latin1")}`);
  }
  if (snapshotWanted !== undefined) lines.push(`wants ${node} ${snapshotWanted.index}/${snapshotWanted.term}`);
  for (const { id, index } of reads) lines.push(`confirmed ${node} ${id} at ${index}`);
  if (readsRefused.length > 0) lines.push(`refused ${node} ${readsRefused}`);
  if (dropped.length > 0) lines.push(`dropped ${node} ${dropped.length}`);
  return lines;
}

import { type MosaikError, mosaikError, type Receipt } from "../../env/index.ts";
import type { PeerId } from "../../identity/index.ts";

/** Never sent. */
export function notSent(code: "group-offline" | "closed", rejected: readonly unknown[], cause: unknown): MosaikError {
  if (code === "closed") return closedUnsent(cause);
  return mosaikError("group-offline", "no leader took the command before the deadline; it was not sent", {
    outcome: "not-applied",
    details: { state: "offline" },
    hidden: { rejected },
    cause,
  });
}

export function closedUnsent(cause: unknown): MosaikError {
  return mosaikError("closed", "the group was closed before the command was sent", { outcome: "not-applied", cause });
}

/** Never sent: as many are on their way as may be. Whoever waits for those can call again. */
export function overloaded(rejected: readonly unknown[]): MosaikError {
  return mosaikError("overloaded", "too many commands of this node are on their way", {
    outcome: "not-applied",
    hidden: { rejected },
  });
}

/** Never sent: whoever leads has no room for it. */
export function storageFull(rejected: readonly unknown[], path: string): MosaikError {
  return mosaikError("storage-full", "the group's disks have no room for the command; it was not sent", {
    outcome: "not-applied",
    details: { path },
    hidden: { rejected },
  });
}

/** Sent, and nobody here knows more. */
export function outcomeUnknown(receipt: Receipt, rejected: readonly unknown[], cause?: unknown): MosaikError {
  return mosaikError("outcome-unknown", "the command was sent, and what became of it is not known", {
    outcome: "unknown",
    details: { receipt },
    hidden: { rejected },
    cause,
  });
}

/** @param members - who cannot apply it yet */
export function unsupported(rejected: readonly unknown[], members: readonly PeerId[]): MosaikError {
  const text = `${members.length} of the members run a version of the machine without this command`;
  return mosaikError("command-unsupported", text, {
    outcome: "not-applied",
    details: { members },
    hidden: { rejected },
  });
}

/** @param position - the command's, or a later one: the state there has it */
export function resultUnavailable(position: number): MosaikError {
  return mosaikError("result-unavailable", "the command was applied, and this member does not have its result", {
    outcome: "applied",
    details: { position },
  });
}

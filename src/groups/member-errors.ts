import { MosaikError, mosaikError } from "../env/index.ts";

export function storageFailed(group: string, cause: unknown): MosaikError {
  const message = "the group's store failed; this member stopped";
  return mosaikError("storage-failed", message, { details: { path: group }, cause });
}

/** Why a member stopped: a cause that callers know, or a bug. */
export function stopCause(cause: unknown): MosaikError {
  if (MosaikError.is(cause)) return cause;
  return mosaikError("closed", "the group's member stopped, because of a bug", { cause });
}

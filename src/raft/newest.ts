import type { AppendReply, Envelope, Message } from "./types.ts";

/**
 * Of messages that wait for the same write, what must still leave: to each member the newest of each kind. It covers the earlier ones, or ends
 * what they were about; and any message may be lost. So what waits is bounded, however long the write takes.
 */
export function keepNewest(waiting: readonly Envelope[], later: readonly Envelope[]): Envelope[] {
  const kept = [...waiting];
  for (const envelope of later) {
    const at = kept.findIndex(({ to, message }) => to === envelope.to && kindOf(message) === kindOf(envelope.message));
    const [earlier] = at < 0 ? [] : kept.splice(at, 1);
    kept.push(earlier === undefined ? envelope : { ...envelope, message: cover(earlier.message, envelope.message) });
  }
  return kept;
}

/** A refusal asks for something, and an acceptance promises something: neither covers the other. */
function kindOf(message: Message): string {
  return isAccepted(message) ? "accepted" : message.type;
}

/** What one leader's log is known to share with ours in its term, it shares until that term is over. */
function cover(earlier: Message, later: Message): Message {
  if (!isAccepted(earlier) || !isAccepted(later) || earlier.term !== later.term) return later;
  return { ...later, index: Math.max(earlier.index, later.index), round: Math.max(earlier.round, later.round) };
}

function isAccepted(message: Message): message is AppendReply & { readonly conflict: undefined } {
  return message.type === "append-reply" && message.conflict === undefined;
}

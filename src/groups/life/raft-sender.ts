import { LIMITS } from "../../env/index.ts";
import { bytesOf, type Envelope, type MemberId, type Message } from "../../raft/index.ts";
import type { IncarnationId } from "../../storage/index.ts";
import type { Bonds } from "../bonds/index.ts";
import { peerOf } from "../entries/index.ts";

/** Sends one step's messages: few frames to each. To another store, or before it is bound, nothing is meant: Raft sends again. */
export function sendRaft(
  bonds: Bonds,
  from: { readonly self: MemberId; readonly incarnation: IncarnationId },
  envelopes: readonly Envelope[],
): void {
  const byMember = new Map<MemberId, Envelope[]>();
  for (const envelope of envelopes) {
    const list = byMember.get(envelope.to);
    if (list === undefined) byMember.set(envelope.to, [envelope]);
    else list.push(envelope);
  }
  for (const [to, list] of byMember) {
    const bond = bonds.get(peerOf(to));
    if (bond?.member !== to || bond.status.incarnation !== from.incarnation) continue;
    for (const frame of framesOf(list)) bond.sendRaft(from.self, from.incarnation, frame);
  }
}

/** Above what one append may hold, so one always fits; and what a frame may hold is above it by enough for all that is around the entries. */
const FRAME_BYTES_MAX = LIMITS.appendBytesMax + LIMITS.entryDataBytesMax;

/** As many messages to a frame as fit, in order. One step may fill a follower's whole window, which is more than one frame. */
function* framesOf(envelopes: readonly Envelope[]): Generator<readonly Envelope[], void, void> {
  let frame: Envelope[] = [];
  let bytes = 0;
  for (const envelope of envelopes) {
    const more = sizeOf(envelope.message);
    if (frame.length > 0 && (bytes + more > FRAME_BYTES_MAX || frame.length === LIMITS.raftMessagesMax)) {
      yield frame;
      frame = [];
      bytes = 0;
    }
    frame.push(envelope);
    bytes += more;
  }
  if (frame.length > 0) yield frame;
}

function sizeOf(message: Message): number {
  return message.type === "append" ? message.entries.reduce((sum, entry) => sum + bytesOf(entry), 0) : 0;
}

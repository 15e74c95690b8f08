import { LIMITS } from "../../env/index.ts";
import type { Envelope, MemberId } from "../../raft/index.ts";
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
    for (let at = 0; at < list.length; at += LIMITS.raftMessagesMax) {
      bond.sendRaft(from.self, from.incarnation, list.slice(at, at + LIMITS.raftMessagesMax));
    }
  }
}

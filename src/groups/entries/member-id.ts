import type { PeerId } from "../../identity/index.ts";
import type { MemberId } from "../../raft/index.ts";
import type { StoreId } from "../../storage/index.ts";

/** Raft's name of a member: the peer, and the store that its promises are in. Both are needed: a peer that lost its store is another voter. */
export function memberId(peer: PeerId, store: StoreId): MemberId {
  return `${peer}/${store}` as MemberId;
}

export function peerOf(member: MemberId): PeerId {
  return member.slice(0, 64) as PeerId;
}

export function storeOf(member: MemberId): StoreId {
  return member.slice(65) as StoreId;
}

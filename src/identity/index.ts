/**
 * Who is who.
 *
 * All ids have 32 bytes and are written as 64 hex digits. A peer's id is its Ed25519 public key, so whoever proves the key is the
 * peer, whatever its address. Ids of networks, groups and streams are hashes of their names, and ids within them are derived, so equal
 * names meet without a registry. Secrets and private keys live in objects that never print them.
 */
export { hash, hashBytes, ID_BYTES, type PeerId, UniqueId } from "./ids.ts";
export { Identity, SIGNATURE_BYTES, verifySignature } from "./keys.ts";
export { Secret } from "./secret.ts";

/**
 * Frames and codecs: bytes in, values out.
 *
 * Two peers talk over a `ByteStream`, which a transport provides: ordered bytes both ways, either end proven. A `Link` makes a
 * conversation of it. Bytes are cut into frames (length, version, kind, payload); the first frame of each side is its hello, and the
 * acceptor answers only what is right in network, version and proof. So whoever holds a link knows that the peer belongs to the network,
 * and which version both speak. The link's own frames (kinds below 16) are hello, close, ping and pong; all others belong to the protocol.
 *
 * A link ends once, with a code and a reason (`CLOSE`), told after all that was sent before it. Silence, a peer that reads too slowly,
 * and bytes that make no sense end it too, each with its code. What ends one link touches no other.
 *
 * Whatever comes is hostile until decoded. `FrameDecoder`, `ByteReader` and the codec compare each length with its limit and with the
 * bytes that are there, before anything is allocated for it, and throw `DecodeError` and nothing else. A handler of frames may let it
 * through: the link closes with `protocolViolation`. Any other throw is a bug of our own, and is reported as one.
 *
 * Protocols write their messages by hand with `ByteWriter` and `ByteReader`. Values of users go through a `Codec`; the default,
 * `messagePack`, takes plain data only, and gives back the same. Schemas check them at the edges (`validate`).
 *
 * Inside: `byte-writer`, `byte-reader` and `frames` know no I/O; `channel` is frames over one stream with batches (`outbox`), silence (`keep-alive`) and the
 * end; `handshake` makes a `link` of it; `codec` is `value-writer` and `value-reader`, which check as they go.
 * The layouts are in docs/design/wire.md.
 */
export { ByteReader, DecodeError } from "./byte-reader.ts";
export { type Allocate, ByteWriter, varintBytes } from "./byte-writer.ts";
export { type Codec, checkCodec, type InlineCodec, inline, inlineMessagePack, messagePack } from "./codec.ts";
export {
  beginFrame,
  encodeFrame,
  FRAME_HEADER_BYTES,
  FRAME_VERSION,
  type Frame,
  FrameDecoder,
  finishFrame,
  KIND,
  viewEncoded,
} from "./frames.ts";
export {
  type AcceptDecision,
  type AcceptLinkOptions,
  acceptLink,
  HandshakeError,
  type InitiateLinkOptions,
  initiateLink,
  type LinkOptions,
  type LinkProofs,
} from "./handshake.ts";
export { decodeHello, encodeHello, HELLO_PAYLOAD_BYTES_MAX, negotiateVersion } from "./hello.ts";
export { parse, type Schema, type Validated, validate } from "./schema.ts";
export type { ByteStream, StreamHandlers } from "./stream.ts";
export { CLOSE, type Hello, type Link, type LinkClose, type LinkHandlers } from "./types.ts";
export { readNamed } from "./value-reader.ts";

/** Frames and codecs: bytes in, values out. */
export { ByteReader, ByteWriter, DecodeError, varintBytes } from "./bytes.ts";
export { type Codec, messagePack } from "./codec.ts";
export { encodeFrame, FRAME_HEADER_BYTES, FRAME_VERSION, type Frame, FrameDecoder, KIND } from "./frames.ts";
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

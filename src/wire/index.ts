/** Frames and codecs: bytes in, values out. */
export type { ByteStream, StreamHandlers } from "./stream.ts";
export { CLOSE, type Hello, type Link, type LinkClose, type LinkHandlers } from "./types.ts";

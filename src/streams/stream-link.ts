import type { Link } from "../wire/index.ts";

/** What a stream needs of a link, whether it leads to another node or not. */
export type StreamLink = Pick<
  Link,
  "remoteId" | "isOpen" | "sentBytes" | "queuedBytes" | "start" | "send" | "sendEncoded" | "pause" | "resume" | "close"
>;

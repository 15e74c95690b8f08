import type { PeerId } from "../identity/index.ts";

/** What a link needs of a connection: ordered bytes both ways between two proven peers. `transport/` provides it. */
export interface ByteStream {
  /** Proven by the transport. */
  readonly remoteId: PeerId;
  /** For people: `host:port`. */
  readonly remoteAddress: string;
  /** Key material that both ends share and nobody else has (RFC 5705). The same arguments give the same bytes on both ends. */
  exportKey(label: string, context: Uint8Array, length: number): Uint8Array;
  /** Begins delivery. Called exactly once; until then nothing is read. No handler is called from within `start`. */
  start(handlers: StreamHandlers): void;
  /** Takes the bytes: the caller does not change them before they have left (`bufferedBytes`). False: more is buffered than is good, wait for `onDrain`. Ignored once ended or closed. */
  write(bytes: Uint8Array): boolean;
  /** Bytes taken that have not left yet. */
  readonly bufferedBytes: number;
  /** What `onData` is told is valid until it returns; else it is the callee's own. Never changes. */
  readonly areBytesLent: boolean;
  /** Stops reading, so that a peer that keeps writing has to wait. */
  pause(): void;
  resume(): void;
  /** Half-close: the peer reads all that was written, then `onEnd`. Reading goes on. */
  end(): void;
  /** At once; what was not sent is lost. Idempotent. */
  destroy(): void;
}

/** No handler may throw. After `onClose` none is called. */
export interface StreamHandlers {
  /** The bytes are the callee's own, unless `areBytesLent`. */
  onData(bytes: Uint8Array): void;
  /** The peer will write no more. */
  onEnd(): void;
  onDrain(): void;
  /** Exactly once. `cause` is undefined after an orderly end on both sides or our own `destroy`. */
  onClose(cause: Error | undefined): void;
}

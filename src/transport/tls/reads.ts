import { Buffer } from "node:buffer";
import type { OnReadOpts } from "node:net";
import type { TLSSocket } from "node:tls";

/** What a socket receives, on its way to who listens. */
export interface SocketReads {
  /** What the listener is told is valid until it returns; else it is the listener's own. */
  readonly areLent: boolean;
  /** Once. What comes is told from `resume` on. */
  listen(listener: (bytes: Uint8Array) => void): void;
  pause(): void;
  /** Nothing is told within this call. What was kept comes in a microtask. */
  resume(): void;
}

/** By the events of Node's stream, which allocates for each. All that there is for a socket that we accepted. */
export class EventReads implements SocketReads {
  readonly areLent = false;
  readonly #socket: TLSSocket;

  constructor(socket: TLSSocket) {
    this.#socket = socket;
  }

  listen(listener: (bytes: Uint8Array) => void): void {
    this.#socket.on("data", listener);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }
}

/** One record's plaintext (RFC 8446, section 5.1): Node decrypts no more at once. */
const RECORD_BYTES = 16 * 1024;

/** Node fills it and tells of it in one go, so one serves all sockets. */
const RECORD = Buffer.allocUnsafeSlow(RECORD_BYTES);

/**
 * Past Node's stream, by way of one buffer: nothing to collect, and fewer steps for each record. For a socket that we connect.
 *
 * Node reads no more when it is told so, and still tells of what it has decrypted. That is kept: 64 KiB at most, which is what it reads at once.
 */
export class LentReads implements SocketReads {
  readonly areLent = true;
  /** For `tls.connect`. */
  readonly onread: OnReadOpts = { buffer: RECORD, callback: (count) => this.#onRead(count) };
  #socket: TLSSocket | undefined;
  #listener: (bytes: Uint8Array) => void = () => {};
  #isHeld = true;
  #kept: Uint8Array[] = [];

  /** What `tls.connect` made of `onread`. */
  attach(socket: TLSSocket): void {
    this.#socket = socket;
  }

  listen(listener: (bytes: Uint8Array) => void): void {
    this.#listener = listener;
  }

  pause(): void {
    this.#isHeld = true;
    this.#socket?.pause();
  }

  resume(): void {
    this.#isHeld = false;
    queueMicrotask(() => this.#goOn());
  }

  #goOn(): void {
    while (!this.#isHeld && this.#kept.length > 0) this.#listener(this.#kept.shift() as Uint8Array);
    if (!this.#isHeld) this.#socket?.resume();
  }

  /** False: no more, until `resume`. */
  #onRead(count: number): boolean {
    const bytes = RECORD.subarray(0, count);
    if (this.#isHeld || this.#kept.length > 0) this.#kept.push(Buffer.from(bytes));
    else this.#listener(bytes);
    return !this.#isHeld;
  }
}

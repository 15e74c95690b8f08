import type { TLSSocket } from "node:tls";

type Socket = Pick<TLSSocket, "write" | "end" | "writable">;

/** Shorter ones that wait are put together: a write costs more than it does to copy them. */
const JOINED_BYTES_MAX = 16 * 1024;

/**
 * Bytes on their way into a socket, one write at a time.
 *
 * Node joins all writes that wait to one buffer, and TLS copies what it is given as several; a single one it encrypts from where it lies.
 */
export class SocketWrites {
  readonly #socket: Socket;
  readonly #onWritten: () => void;
  readonly #onEach = (): void => this.#next();
  #waiting: Uint8Array[] = [];
  /** Of the write that the socket is busy with. */
  #busyBytes = 0;
  #waitingBytes = 0;
  #isEnding = false;

  /** @param onWritten - the socket is done with a write: `bytes` is less than it was */
  constructor(socket: Socket, onWritten: () => void) {
    this.#socket = socket;
    this.#onWritten = onWritten;
  }

  /** Taken, and not done with. */
  get bytes(): number {
    return this.#busyBytes + this.#waitingBytes;
  }

  /** Nothing after `end`. */
  add(bytes: Uint8Array): void {
    if (this.#isEnding) return;
    if (this.#busyBytes === 0) return this.#write(bytes);
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
  }

  /** Ends the socket after all that was added. */
  end(): void {
    this.#isEnding = true;
    if (this.#busyBytes === 0) this.#socket.end();
  }

  #write(bytes: Uint8Array): void {
    this.#busyBytes = bytes.length;
    this.#socket.write(bytes, this.#onEach);
  }

  #next(): void {
    this.#busyBytes = 0;
    if (!this.#socket.writable) this.#drop();
    const bytes = this.#waiting.length > 0 ? this.#take() : undefined;
    if (bytes !== undefined) this.#write(bytes);
    else if (this.#isEnding) this.#socket.end();
    this.#onWritten();
  }

  /** The socket is gone, and will not take them. */
  #drop(): void {
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  /** A long one, or short ones together. */
  #take(): Uint8Array | undefined {
    let count = 0;
    let bytes = 0;
    for (const { length } of this.#waiting) {
      if (count > 0 && bytes + length > JOINED_BYTES_MAX) break;
      bytes += length;
      count++;
    }
    this.#waitingBytes -= bytes;
    const taken = this.#waiting.splice(0, count);
    return count > 1 ? Buffer.concat(taken, bytes) : taken[0];
  }
}

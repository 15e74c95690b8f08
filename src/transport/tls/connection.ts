import type { TLSSocket } from "node:tls";
import { LIMITS } from "../../env/index.ts";
import type { PeerId } from "../../identity/index.ts";
import type { StreamHandlers } from "../../wire/index.ts";
import { EXPORTER_SECRET_BYTES, KeyExporter } from "../exporter.ts";
import type { Address, Connection, Protocol } from "../types.ts";
import type { SocketReads } from "./reads.ts";
import { SocketWrites } from "./writes.ts";

/** Who waits for room hears of it when so much is left: the socket has something to do until more comes. */
const LOW_WATER_BYTES = LIMITS.streamHighWaterBytes / 4;

interface Facts {
  readonly remoteId: PeerId;
  readonly remoteAddress: Address;
  readonly protocol: Protocol;
}

/**
 * A connection over one TLS socket whose handshake is over and checked.
 *
 * What the peer sends before `start` is kept, up to a small mark; an error or an end before that too.
 */
export class TlsConnection implements Connection {
  readonly remoteId: PeerId;
  readonly remoteAddress: Address;
  readonly protocol: Protocol;
  readonly #socket: TLSSocket;
  readonly #reads: SocketReads;
  readonly #writes: SocketWrites;
  readonly #exporter: KeyExporter;
  #handlers: StreamHandlers | undefined;
  #cause: Error | undefined;
  #isOurDoing = false;
  #isFull = false;
  #isPaused = false;
  #isClosed = false;
  #isEndTold = false;
  #isCloseTold = false;

  constructor(socket: TLSSocket, reads: SocketReads, facts: Facts) {
    this.remoteId = facts.remoteId;
    this.remoteAddress = facts.remoteAddress;
    this.protocol = facts.protocol;
    this.#socket = socket;
    this.#reads = reads;
    this.#writes = new SocketWrites(socket, () => this.#onWritten());
    this.#exporter = new KeyExporter(
      socket.exportKeyingMaterial(EXPORTER_SECRET_BYTES, "EXPORTER-mosaik-connection", Buffer.alloc(0)),
    );
    socket.on("error", (cause: Error) => {
      this.#cause ??= cause;
    });
    // Node's own `closed` turns true before the event.
    socket.once("close", () => {
      this.#isClosed = true;
      this.#tellEnds();
    });
  }

  /** @internal for its transport */
  onceClosed(listener: () => void): void {
    this.#socket.once("close", listener);
  }

  exportKey(label: string, context: Uint8Array, length: number): Uint8Array {
    return this.#exporter.export(label, context, length);
  }

  start(handlers: StreamHandlers): void {
    this.#handlers = handlers;
    this.#reads.listen((bytes) => {
      if (!this.#isOurDoing) handlers.onData(bytes);
    });
    if (!this.#isPaused) this.#reads.resume();
    // Both may have come already.
    queueMicrotask(() => this.#tellEnds());
    this.#socket.on("end", () => this.#tellEnds());
  }

  write(bytes: Uint8Array): boolean {
    if (!this.#socket.writable) return false;
    this.#writes.add(bytes);
    // Node's own mark of 16 KiB is too low for whole frames.
    if (this.bufferedBytes >= LIMITS.streamHighWaterBytes) this.#isFull = true;
    return !this.#isFull;
  }

  get areBytesLent(): boolean {
    return this.#reads.areLent;
  }

  get bufferedBytes(): number {
    return this.#writes.bytes;
  }

  pause(): void {
    this.#isPaused = true;
    this.#reads.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    if (this.#handlers === undefined) return;
    this.#reads.resume();
    queueMicrotask(() => this.#tellEnds());
  }

  end(): void {
    if (this.#socket.writable) this.#writes.end();
  }

  destroy(): void {
    if (this.#isOurDoing) return;
    this.#isOurDoing = true;
    // Closed already, and not told yet since we were paused.
    if (this.#isClosed) queueMicrotask(() => this.#tellEnds());
    else this.#socket.destroy();
  }

  #onWritten(): void {
    if (!this.#isFull || this.bufferedBytes > LOW_WATER_BYTES) return;
    this.#isFull = false;
    this.#handlers?.onDrain();
  }

  /** Tells the peer's end, and the close, if it is time. Node tells an end also while paused, when nothing else is left to read. */
  #tellEnds(): void {
    const handlers = this.#handlers;
    if (handlers === undefined) return;
    const socket = this.#socket;
    const isOrderly = socket.readableEnded && socket.writableFinished && !this.#isOurDoing;
    const isBroken = this.#isClosed && !isOrderly;
    if (this.#isPaused && !isBroken) return;
    if (socket.readableEnded && !this.#isEndTold && !this.#isOurDoing) {
      this.#isEndTold = true;
      handlers.onEnd();
    }
    if (!this.#isClosed || this.#isCloseTold) return;
    this.#isCloseTold = true;
    const cause = isOrderly || this.#isOurDoing ? undefined : (this.#cause ?? new Error("the connection broke"));
    handlers.onClose(cause);
  }
}

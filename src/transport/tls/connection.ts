import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { LIMITS } from "../../env/index.ts";
import type { PeerId } from "../../identity/index.ts";
import type { StreamHandlers } from "../../wire/index.ts";
import { EXPORTER_SECRET_BYTES, KeyExporter } from "../exporter.ts";
import type { Address, Connection, Protocol } from "../types.ts";

interface Facts {
  readonly remoteId: PeerId;
  readonly remoteAddress: Address;
  readonly protocol: Protocol;
}

/**
 * A connection over one TLS socket whose handshake is over and checked.
 *
 * Node's stream keeps what the peer sends, up to its own small mark, until `start`; an error or an end before that is kept too.
 */
export class TlsConnection implements Connection {
  readonly remoteId: PeerId;
  readonly remoteAddress: Address;
  readonly protocol: Protocol;
  readonly #socket: TLSSocket;
  /** The TCP socket below: only it can reset. */
  readonly #tcp: Socket;
  readonly #exporter: KeyExporter;
  #handlers: StreamHandlers | undefined;
  #cause: Error | undefined;
  #isOurDoing = false;
  #isFull = false;

  constructor(socket: TLSSocket, tcp: Socket, facts: Facts) {
    this.remoteId = facts.remoteId;
    this.remoteAddress = facts.remoteAddress;
    this.protocol = facts.protocol;
    this.#socket = socket;
    this.#tcp = tcp;
    this.#exporter = new KeyExporter(
      socket.exportKeyingMaterial(EXPORTER_SECRET_BYTES, "EXPORTER-mosaik-connection", Buffer.alloc(0)),
    );
    socket.on("error", (cause: Error) => {
      this.#cause ??= cause;
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
    const socket = this.#socket;
    if (socket.closed) {
      queueMicrotask(() => handlers.onClose(this.#closeCause()));
      return;
    }
    socket.on("close", () => handlers.onClose(this.#closeCause()));
    socket.on("end", () => handlers.onEnd());
    socket.on("drain", () => this.#onDrain());
    socket.on("data", (bytes: Uint8Array) => handlers.onData(bytes));
  }

  write(bytes: Uint8Array): boolean {
    const socket = this.#socket;
    if (!socket.writable) return false;
    socket.write(bytes);
    // Node's own mark of 16 KiB is too low for whole frames; its `drain` comes in any case once we are above ours.
    if (socket.writableLength >= LIMITS.streamHighWaterBytes) this.#isFull = true;
    return !this.#isFull;
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    if (this.#handlers !== undefined) this.#socket.resume();
  }

  end(): void {
    if (this.#socket.writable) this.#socket.end();
  }

  destroy(): void {
    if (this.#socket.destroyed) return;
    this.#isOurDoing = true;
    // A reset tells the peer at once that this is no orderly end; after an end there is nothing left to tell.
    if (this.#socket.writableFinished) this.#socket.destroy();
    else this.#tcp.resetAndDestroy();
  }

  #onDrain(): void {
    if (!this.#isFull) return;
    this.#isFull = false;
    this.#handlers?.onDrain();
  }

  #closeCause(): Error | undefined {
    if (this.#isOurDoing) return undefined;
    const isOrderly = this.#socket.readableEnded && this.#socket.writableFinished;
    return this.#cause ?? (isOrderly ? undefined : new Error("the connection broke"));
  }
}

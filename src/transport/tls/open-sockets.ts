import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";

/**
 * Every socket of a transport, from its first moment to its close.
 *
 * A TCP socket below TLS is never touched: destroying or resetting it under a handshake can crash Node (a segmentation fault, seen with
 * 20.20). So TLS takes its place here.
 */
export class OpenSockets {
  readonly #sockets = new Set<Socket>();

  add(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
  }

  wrap(tcp: Socket, tls: TLSSocket): void {
    this.#sockets.delete(tcp);
    this.add(tls);
  }

  /** Resolves when all are closed, their `close` events told. */
  async destroyAll(): Promise<void> {
    const closed = [...this.#sockets].map(
      (socket) =>
        new Promise<void>((resolve) => {
          socket.once("close", () => resolve());
          socket.destroy();
        }),
    );
    await Promise.all(closed);
  }
}

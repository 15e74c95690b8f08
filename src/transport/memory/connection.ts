import { assert, type Env } from "../../env/index.ts";
import type { PeerId } from "../../identity/index.ts";
import type { StreamHandlers } from "../../wire/index.ts";
import type { KeyExporter } from "../exporter.ts";
import type { Address, Connection, Protocol } from "../types.ts";
import type { Pipe, PipeSource, PipeTarget, Signal } from "./pipe.ts";

/** What lent bytes become. */
const TAKEN_BACK = 0xdb;

/** Whose end it is: a transport, or the network itself for an address where nobody is. */
export interface EndOwner {
  /** Whose events the arrivals are. Undefined: they wait. */
  arrivalEnv(end: MemoryConnection): Env | undefined;
  /** All but bytes and the end; a reset only during the handshake. */
  onHandshake(end: MemoryConnection, signal: Signal): void;
  /** The end is closed, and was told so. */
  onGone(end: MemoryConnection): void;
}

export interface EndInit {
  readonly localAddress: Address;
  readonly remoteAddress: Address;
  readonly protocol: Protocol;
  readonly exporter: KeyExporter;
  /** What it is told is lent, as TLS does where it dials: overwritten afterwards, so that who keeps it is found out. */
  readonly areBytesLent: boolean;
  readonly owner: EndOwner;
  /** An end came to its last state. */
  readonly onOver: () => void;
}

/**
 * One end of a connection in memory.
 *
 * handshake → open → closed; or dead at any time, when its node has crashed: then it tells nobody anything, and what arrives is
 * answered by a reset. What arrives at a closed end is thrown away.
 */
export class MemoryConnection implements Connection, PipeSource, PipeTarget {
  readonly localAddress: Address;
  readonly remoteAddress: Address;
  readonly protocol: Protocol;
  readonly areBytesLent: boolean;
  readonly #exporter: KeyExporter;
  readonly #onOver: () => void;
  #owner: EndOwner;
  /** Of the node that this end belongs to; undefined until there is one. */
  #env: Env | undefined;
  #state: "handshake" | "open" | "closed" | "dead" = "handshake";
  #remoteId: PeerId | undefined;
  #peer!: MemoryConnection;
  #incoming!: Pipe;
  #outgoing!: Pipe;
  #handlers: StreamHandlers | undefined;
  #isPaused = false;
  #hasPeerEnded = false;
  #wasReset = false;
  /** Known before there were handlers to tell. */
  #untold: { readonly cause: Error | undefined } | undefined;

  constructor(init: EndInit) {
    this.localAddress = init.localAddress;
    this.remoteAddress = init.remoteAddress;
    this.protocol = init.protocol;
    this.areBytesLent = init.areBytesLent;
    this.#exporter = init.exporter;
    this.#owner = init.owner;
    this.#onOver = init.onOver;
  }

  // ── For the network and the transports ──

  /** @internal Once, before anything else. */
  connect(peer: MemoryConnection, incoming: Pipe, outgoing: Pipe): void {
    this.#peer = peer;
    this.#incoming = incoming;
    this.#outgoing = outgoing;
  }

  /** @internal The other end. */
  get peer(): MemoryConnection {
    return this.#peer;
  }

  /** @internal Of the node that it belongs to, or belonged to. */
  get env(): Env | undefined {
    return this.#env;
  }

  /** @internal Closed or dead. */
  get isOver(): boolean {
    return this.#state === "closed" || this.#state === "dead";
  }

  /** @internal This node's from now on. */
  adopt(owner: EndOwner, env: Env): void {
    this.#owner = owner;
    this.#env = env;
  }

  /** @internal */
  send(signal: Signal): void {
    if (this.#state === "handshake" || this.#state === "open") this.#outgoing.signal(signal);
  }

  /** @internal The handshake is over. */
  becomeOpen(remoteId: PeerId): void {
    assert(this.#state === "handshake", "a connection opens once");
    this.#remoteId = remoteId;
    this.#state = "open";
  }

  /** @internal The connection broke on the way: this end hears of it, and tells nobody. */
  breakDown(cause: Error): void {
    if (this.#state === "handshake") this.#owner.onHandshake(this, { type: "reset" });
    else if (this.#state === "open") this.#finish(cause);
  }

  /** @internal Its node died. With `isSilent` the peer hears nothing until it asks a host that has come back. */
  die(heir: EndOwner, isSilent: boolean): void {
    if (this.isOver) return;
    this.#state = "dead";
    this.#owner = heir;
    if (!isSilent) this.#reset();
    this.#incoming.rearm();
    this.#onOver();
  }

  // ── Connection ──

  get remoteId(): PeerId {
    assert(this.#remoteId !== undefined, "known once the handshake is over");
    return this.#remoteId;
  }

  exportKey(label: string, context: Uint8Array, length: number): Uint8Array {
    return this.#exporter.export(label, context, length);
  }

  start(handlers: StreamHandlers): void {
    assert(this.#handlers === undefined, "a connection starts once");
    this.#handlers = handlers;
    const untold = this.#untold;
    if (untold === undefined) this.#incoming.arm();
    else this.#later(() => handlers.onClose(untold.cause));
  }

  write(bytes: Uint8Array): boolean {
    return this.#state === "open" && this.#outgoing.write(bytes);
  }

  get bufferedBytes(): number {
    return this.#state === "open" ? this.#outgoing.unsentBytes : 0;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    if (this.#state === "open") this.#incoming.arm();
  }

  end(): void {
    if (this.#state === "open") this.#outgoing.end();
  }

  destroy(): void {
    if (this.isOver) return;
    this.#reset();
    this.#finish(undefined);
  }

  // ── For the pipes ──

  arrivalEnv(): Env | undefined {
    return this.#owner.arrivalEnv(this);
  }

  get isReading(): boolean {
    return this.#state !== "open" || (this.#handlers !== undefined && !this.#isPaused);
  }

  onBytes(bytes: Uint8Array): void {
    if (this.#state === "open") {
      this.#handlers?.onData(bytes);
      if (this.areBytesLent) bytes.fill(TAKEN_BACK);
    } else if (this.#state === "dead") this.#reset();
  }

  onSignal(signal: Signal): void {
    if (this.#state === "dead") {
      if (signal.type !== "reset") this.#reset();
    } else if (this.#state === "handshake") {
      this.#owner.onHandshake(this, signal);
    } else if (this.#state === "open") {
      if (signal.type === "end") this.#onEnd();
      else if (signal.type === "reset") this.#finish(new Error("reset by the peer"));
      else this.#owner.onHandshake(this, signal);
    }
  }

  onDrain(): void {
    this.#later(() => {
      if (this.#state === "open") this.#handlers?.onDrain();
    });
  }

  onEndSent(): void {
    this.#finishIfEnded();
  }

  #onEnd(): void {
    this.#hasPeerEnded = true;
    this.#handlers?.onEnd();
    this.#finishIfEnded();
  }

  #finishIfEnded(): void {
    if (this.#state === "open" && this.#hasPeerEnded && this.#outgoing.isEndSent) this.#finish(undefined);
  }

  /** Once: a dead end answers each arrival, but one reset says it all. */
  #reset(): void {
    if (this.#wasReset) return;
    this.#wasReset = true;
    this.#outgoing.reset();
  }

  #finish(cause: Error | undefined): void {
    this.#state = "closed";
    this.#later(() => {
      if (this.#state !== "closed") return;
      if (this.#handlers === undefined) this.#untold = { cause };
      else this.#handlers.onClose(cause);
      this.#owner.onGone(this);
    });
    this.#onOver();
  }

  #later(callback: () => void): void {
    this.#env?.after(0, callback);
  }
}

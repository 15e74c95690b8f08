import { type Env, mosaikError } from "../../env/index.ts";
import type { Identity } from "../../identity/index.ts";
import type { TransportLimits } from "../admission.ts";
import { EXPORTER_SECRET_BYTES, KeyExporter } from "../exporter.ts";
import type { Address, Protocol, Transport } from "../types.ts";
import type { Conditions } from "./conditions.ts";
import { type EndOwner, MemoryConnection } from "./connection.ts";
import { Pipe, type Signal } from "./pipe.ts";
import { MemoryTransport } from "./transport.ts";

export interface MemoryTransportOptions {
  /** Of the node: what reaches it is an event of its own. */
  readonly env: Env;
  readonly identity: Identity;
  /** Any text that is unique among those who listen; `host:port` if it is to be advertised. */
  readonly address: Address;
  /** Instead of `LIMITS`, for tests. */
  readonly limits?: Partial<TransportLimits>;
}

/** Both ends of a connection, and both directions. */
interface Pair {
  readonly ends: readonly [MemoryConnection, MemoryConnection];
  readonly pipes: readonly [Pipe, Pipe];
}

/**
 * A network in memory: the simulator's wire.
 *
 * Any number of transports meet in one instance, and instances know nothing of each other. Every arrival is an event of the node that
 * it reaches (`env.after`), so a run is as deterministic as the environments and the `Conditions` are. All iteration is in order of
 * creation.
 */
export class MemoryNetwork implements EndOwner {
  readonly #conditions: Conditions;
  readonly #transports = new Set<MemoryTransport>();
  readonly #listeners = new Map<Address, MemoryTransport>();
  readonly #pairs = new Set<Pair>();
  /** Where a node died without a word, and none has come since. */
  readonly #silent = new Set<Address>();

  constructor({ conditions = {} }: { readonly conditions?: Conditions } = {}) {
    this.#conditions = conditions;
  }

  /** Connections that are open, or about to be, at one end at least. */
  get connectionCount(): number {
    return this.#pairs.size;
  }

  transport(options: MemoryTransportOptions): Transport {
    const transport = new MemoryTransport(this, options);
    this.#transports.add(transport);
    return transport;
  }

  // ── Faults ──

  /** After a heal: what `isBlocked` held back travels again, by a new delay. */
  wake(): void {
    for (const { pipes } of this.#pairs) for (const pipe of pipes) pipe.wake();
  }

  /** Breaks all connections between two addresses: each end that lives hears of it. @returns how many there were */
  reset(a: Address, b: Address): number {
    const pairs = this.#between(a, b);
    for (const { ends } of pairs) for (const end of ends) end.breakDown(new Error("the connection was reset"));
    return pairs.length;
  }

  /** All connections between two addresses stay open, and carry nothing ever after. New ones are not affected. @returns how many there were */
  halfOpen(a: Address, b: Address): number {
    const pairs = this.#between(a, b);
    for (const { pipes } of pairs) for (const pipe of pipes) pipe.becomeBlackHole();
    return pairs.length;
  }

  /**
   * The node dies. None of its handlers is called again, and the address is free for its next life.
   *
   * Its peers get a reset, as when a process is killed; or, if `silent`, nothing, as when the power fails: they learn of it from their
   * own keep-alive, or when they write and the address listens again. What had left arrives in both cases.
   */
  crash(address: Address, { silent = false }: { readonly silent?: boolean } = {}): void {
    if (silent) this.#silent.add(address);
    for (const transport of [...this.#transports]) {
      if (transport.address !== address) continue;
      this.forget(transport);
      transport.die();
    }
    for (const { ends } of [...this.#pairs]) {
      for (const end of ends) if (end.env !== undefined && end.localAddress === address) end.die(this, silent);
    }
  }

  // ── For its transports ──

  /** @internal @throws `address-in-use` */
  listen(transport: MemoryTransport): void {
    const { address } = transport;
    if (this.#listeners.has(address)) {
      throw mosaikError("address-in-use", `another transport listens on ${address}`, { details: { address } });
    }
    this.#listeners.set(address, transport);
    if (!this.#silent.delete(address)) return;
    for (const { pipes } of this.#pairs) for (const pipe of pipes) if (pipe.to === address) pipe.wake();
  }

  /** @internal */
  forget(transport: MemoryTransport): void {
    this.#transports.delete(transport);
    if (this.#listeners.get(transport.address) === transport) this.#listeners.delete(transport.address);
  }

  /** @internal Begins a handshake. @returns the dialler's end, which is the transport's */
  connect(dialler: MemoryTransport, to: Address, protocol: Protocol): MemoryConnection {
    const exporter = new KeyExporter(dialler.env.random.bytes(EXPORTER_SECRET_BYTES));
    const onOver = (): void => this.#onOver(pair);
    const common = { protocol, exporter, owner: this, onOver };
    const near = new MemoryConnection({
      ...common,
      localAddress: dialler.address,
      remoteAddress: to,
      areBytesLent: true,
    });
    const far = new MemoryConnection({
      ...common,
      localAddress: to,
      remoteAddress: dialler.address,
      areBytesLent: false,
    });
    const there = new Pipe(dialler.address, to, this.#conditions, near, far);
    const back = new Pipe(to, dialler.address, this.#conditions, far, near);
    near.connect(far, back, there);
    far.connect(near, there, back);
    const pair: Pair = { ends: [near, far], pipes: [there, back] };
    this.#pairs.add(pair);
    near.adopt(dialler, dialler.env);
    near.send({ type: "hello", peerId: dialler.peerId });
    return near;
  }

  // ── Where nobody is ──

  arrivalEnv(end: MemoryConnection): Env | undefined {
    const listener = this.#listeners.get(end.localAddress);
    if (listener !== undefined) return listener.env;
    return this.#silent.has(end.localAddress) ? undefined : end.peer.env;
  }

  onHandshake(end: MemoryConnection, signal: Signal): void {
    if (signal.type !== "hello") return;
    const listener = this.#listeners.get(end.localAddress);
    if (listener === undefined) {
      const problem = "nobody listens";
      end.send({ type: "verdict", verdict: { ok: false, failure: "unreachable", problem } });
      return;
    }
    end.adopt(listener, listener.env);
    listener.onHandshake(end, signal);
  }

  onGone(): void {}

  #onOver(pair: Pair): void {
    if (!pair.ends.every((end) => end.isOver || end.env === undefined)) return;
    for (const pipe of pair.pipes) pipe.becomeBlackHole();
    this.#pairs.delete(pair);
  }

  #between(a: Address, b: Address): Pair[] {
    return [...this.#pairs].filter(({ pipes: [there] }) => {
      return (there.from === a && there.to === b) || (there.from === b && there.to === a);
    });
  }
}

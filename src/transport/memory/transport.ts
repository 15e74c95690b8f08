import { assert, type Env, mosaikError, type Timer } from "../../env/index.ts";
import type { PeerId } from "../../identity/index.ts";
import { parseAddress } from "../address.ts";
import { Admission, type Slot, type TransportLimits, transportLimits } from "../admission.ts";
import { attemptWithin, dialInOrder } from "../dialing.ts";
import {
  type Address,
  type Connection,
  DialError,
  newTransportCounters,
  type PeerAddress,
  type Protocol,
  type Transport,
} from "../types.ts";
import type { EndOwner, MemoryConnection } from "./connection.ts";
import type { MemoryNetwork, MemoryTransportOptions } from "./network.ts";
import type { Signal, Verdict } from "./pipe.ts";

/** A dial that waits for the acceptor's verdict. */
interface Dialling {
  readonly expectedId: PeerId | undefined;
  resolve(connection: Connection): void;
  reject(cause: DialError): void;
}

/** What an acceptor holds for an end, until it is gone. */
interface Accepted {
  readonly slot: Slot;
  readonly deadline: Timer;
  readonly peerId: PeerId;
}

interface Listening {
  readonly protocols: readonly Protocol[];
  readonly onConnection: (connection: Connection) => void;
}

/**
 * One node's place in a `MemoryNetwork`. The handshake has the steps of TLS: hello, the acceptor's verdict, and "open", upon which the
 * acceptor hands over; so `dial` resolves before the acceptor knows, as over TLS.
 *
 * @internal made by `MemoryNetwork.transport`
 */
export class MemoryTransport implements Transport, EndOwner {
  readonly counters = newTransportCounters();
  readonly env: Env;
  readonly address: Address;
  readonly peerId: PeerId;
  readonly #network: MemoryNetwork;
  readonly #limits: TransportLimits;
  readonly #admission: Admission;
  readonly #ends = new Set<MemoryConnection>();
  readonly #dialling = new Map<MemoryConnection, Dialling>();
  readonly #accepted = new Map<MemoryConnection, Accepted>();
  #listening: Listening | undefined;
  #isClosed = false;
  #onceEmpty: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  constructor(network: MemoryNetwork, { env, identity, address, limits }: MemoryTransportOptions) {
    this.#network = network;
    this.env = env;
    this.address = address;
    this.peerId = identity.peerId;
    this.#limits = transportLimits(limits);
    this.#admission = new Admission(this.#limits);
  }

  get localAddresses(): readonly Address[] {
    return this.#listening === undefined || this.#isClosed ? [] : [this.address];
  }

  async listen(protocols: readonly Protocol[], onConnection: (connection: Connection) => void): Promise<void> {
    if (this.#isClosed) throw mosaikError("closed", "the transport is closed");
    assert(this.#listening === undefined, "a transport listens once");
    this.#network.listen(this);
    this.#listening = { protocols, onConnection };
  }

  async dial(peer: PeerAddress, protocol: Protocol, { signal }: { readonly signal: AbortSignal }): Promise<Connection> {
    try {
      const connection = await dialInOrder(peer, this.peerId, signal, (address) =>
        this.#dialAddress(peer.id, address, protocol, signal),
      );
      this.counters.dialled++;
      return connection;
    } catch (cause) {
      this.counters.dialsFailed++;
      throw cause;
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Its node crashed: nothing more is told to anybody. */
  die(): void {
    this.#isClosed = true;
    this.#ends.clear();
    this.#dialling.clear();
    this.#accepted.clear();
  }

  async #close(): Promise<void> {
    this.#isClosed = true;
    this.#network.forget(this);
    const closed = transportClosed();
    for (const [end, dialling] of [...this.#dialling]) {
      end.destroy();
      dialling.reject(closed);
    }
    for (const end of [...this.#ends]) end.destroy();
    if (this.#ends.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#onceEmpty = resolve;
    });
  }

  #dialAddress(
    expectedId: PeerId | undefined,
    address: Address,
    protocol: Protocol,
    signal: AbortSignal,
  ): Promise<Connection> {
    if (this.#isClosed) return Promise.reject(transportClosed());
    const timeoutMs = this.#limits.handshakeTimeoutMs;
    const onTimeout = (): DialError => new DialError("unreachable", `${address}: no answer in time`);
    return attemptWithin<Connection>({ env: this.env, signal, timeoutMs, onTimeout }, (resolve, reject) => {
      const end = this.#network.connect(this, address, protocol);
      this.#ends.add(end);
      this.#dialling.set(end, { expectedId, resolve, reject });
      return () => end.destroy();
    });
  }

  // ── For the ends ──

  arrivalEnv(): Env {
    return this.env;
  }

  onHandshake(end: MemoryConnection, signal: Signal): void {
    if (signal.type === "hello") this.#onHello(end, signal.peerId);
    else if (signal.type === "verdict") this.#onVerdict(end, signal.verdict);
    else if (signal.type === "open") this.#onOpen(end);
    else if (signal.type === "reset") this.#onBroken(end);
  }

  onGone(end: MemoryConnection): void {
    this.#ends.delete(end);
    this.#dialling.delete(end);
    const accepted = this.#accepted.get(end);
    accepted?.deadline.cancel();
    accepted?.slot.release();
    this.#accepted.delete(end);
    if (this.#ends.size === 0) this.#onceEmpty?.();
  }

  #onHello(end: MemoryConnection, peerId: PeerId): void {
    this.#ends.add(end);
    const slot = this.#admission.enter(parseAddress(end.remoteAddress)?.host ?? end.remoteAddress);
    if (slot === undefined) {
      this.counters.overLimit++;
      end.destroy();
      return;
    }
    const deadline = this.env.after(this.#limits.handshakeTimeoutMs, () => {
      this.counters.handshakesTimedOut++;
      this.#refuse(end);
    });
    this.#accepted.set(end, { slot, deadline, peerId });
    const verdict = this.#judge(end, peerId);
    end.send({ type: "verdict", verdict });
    if (!verdict.ok) this.#refuse(end);
  }

  #judge(end: MemoryConnection, peerId: PeerId): Verdict {
    if (!this.#listening?.protocols.includes(end.protocol)) {
      return { ok: false, failure: "alpn-refused", problem: `does not speak ${end.protocol}` };
    }
    if (peerId === this.peerId) return { ok: false, failure: "self", problem: "this is ourselves" };
    return { ok: true, peerId: this.peerId };
  }

  #refuse(end: MemoryConnection): void {
    this.counters.handshakesFailed++;
    end.destroy();
  }

  #onVerdict(end: MemoryConnection, verdict: Verdict): void {
    const dialling = this.#dialling.get(end);
    if (dialling === undefined) return;
    this.#dialling.delete(end);
    const refused = this.#problemWith(verdict, end.remoteAddress, dialling.expectedId);
    if (refused !== undefined || !verdict.ok) {
      end.destroy();
      dialling.reject(refused ?? transportClosed());
      return;
    }
    end.becomeOpen(verdict.peerId);
    end.send({ type: "open" });
    dialling.resolve(end);
  }

  #problemWith(verdict: Verdict, address: Address, expectedId: PeerId | undefined): DialError | undefined {
    if (!verdict.ok) return new DialError(verdict.failure, `${address}: ${verdict.problem}`);
    if (expectedId === undefined || verdict.peerId === expectedId) return undefined;
    return new DialError("wrong-peer", `${address} is somebody else`);
  }

  #onOpen(end: MemoryConnection): void {
    const accepted = this.#accepted.get(end);
    if (accepted === undefined || this.#listening === undefined) return;
    accepted.deadline.cancel();
    accepted.slot.establish();
    end.becomeOpen(accepted.peerId);
    this.counters.accepted++;
    this.#listening.onConnection(end);
  }

  #onBroken(end: MemoryConnection): void {
    const dialling = this.#dialling.get(end);
    this.#dialling.delete(end);
    end.destroy();
    if (dialling === undefined) this.counters.handshakesFailed++;
    else dialling.reject(new DialError("handshake-failed", `${end.remoteAddress}: closed`));
  }
}

function transportClosed(): DialError {
  return new DialError("unreachable", "the transport is closed");
}

import { type Env, LIMITS, type Timer, whenAborted } from "../env/index.ts";
import { DecodeError } from "./byte-reader.ts";
import { type ChannelSink, FrameChannel } from "./channel.ts";
import { KIND } from "./frames.ts";
import { decodeHello, encodeHello, negotiateVersion } from "./hello.ts";
import { FramedLink } from "./link.ts";
import type { ByteStream } from "./stream.ts";
import { CLOSE, type Hello, type Link, type LinkClose } from "./types.ts";

/** No link came about: who refused it, and why. An expected failure between peers. */
export class HandshakeError extends Error {
  override readonly name = "HandshakeError";
  readonly close: LinkClose;
  constructor(close: LinkClose) {
    super(`no link: ${close.code} ${close.reason}`);
    this.close = close;
  }
}

/** Proof of what both ends must know, bound to this one connection (`exportKey`). */
export interface LinkProofs {
  /** At most `LIMITS.helloProofBytesMax`; empty if there is nothing to prove. */
  prove(stream: ByteStream): Uint8Array;
  verify(stream: ByteStream, proof: Uint8Array): boolean;
}

export interface LinkOptions {
  readonly env: Env;
  readonly protocol: string;
  /** Longest payload of one frame, both ways. */
  readonly frameBytesMax: number;
  /** Bytes that the link holds for a slow peer before `send` says false. Default: `LIMITS.linkHighWaterBytes`. */
  readonly highWaterBytes?: number | undefined;
  readonly hello: Pick<Hello, "versionMin" | "versionMax" | "network" | "features">;
  readonly proofs: LinkProofs;
  /** Until the peer's hello. Default `LIMITS.handshakeTimeoutMs`. */
  readonly handshakeTimeoutMs?: number;
  /** Aborts the handshake, not the link that came of it. */
  readonly signal?: AbortSignal;
  /** A handler threw what is no `DecodeError`. The link is destroyed already. */
  readonly onBug: (cause: unknown) => void;
}

export interface InitiateLinkOptions extends LinkOptions {
  /** Of our hello; at most `HELLO_PAYLOAD_BYTES_MAX`. */
  readonly payload: Uint8Array;
}

/** The payload of the answer, or why there is none. */
export type AcceptDecision = { readonly payload: Uint8Array } | Refusal;

interface Refusal {
  /** One of `CLOSE`, or the protocol's own. */
  readonly refuse: number;
  readonly reason: string;
}

export interface AcceptLinkOptions extends LinkOptions {
  /** Called once network, version and proof were found right. May throw `DecodeError`. */
  readonly accept: (hello: Hello) => AcceptDecision;
}

/**
 * Says hello first, and waits for the answer. The link is paused until `start`, which belongs into the turn that received it.
 *
 * Takes the stream over. On failure it ends the stream itself, at most `LIMITS.closeTimeoutMs` later: whoever destroys it meanwhile takes
 * the reason from the peer.
 *
 * @throws HandshakeError; the reason of `signal`
 */
export function initiateLink(stream: ByteStream, options: InitiateLinkOptions): Promise<Link> {
  return begin(stream, options, (handshake) => {
    handshake.sendHello(options.payload);
    return (hello, version) => handshake.complete(hello, version, true);
  });
}

/**
 * Waits for the initiator's hello, and answers only what is right in network, version, proof and by `accept`, in this order.
 * What is not gets a close frame with the code.
 *
 * @throws HandshakeError; the reason of `signal`
 */
export function acceptLink(stream: ByteStream, options: AcceptLinkOptions): Promise<Link> {
  return begin(stream, options, (handshake) => (hello, version) => {
    const decision = options.accept(hello);
    if ("refuse" in decision) {
      handshake.refuse(decision.refuse, decision.reason);
    } else {
      handshake.sendHello(decision.payload);
      handshake.complete(hello, version, false);
    }
  });
}

type OnHello = (hello: Hello, version: number) => void;

function begin(stream: ByteStream, options: LinkOptions, role: (handshake: Handshake) => OnHello): Promise<Link> {
  if (options.signal?.aborted) {
    stream.destroy();
    return Promise.reject(options.signal.reason);
  }
  return new Promise((resolve, reject) => {
    const handshake = new Handshake(stream, options, resolve, reject);
    handshake.begin(role);
  });
}

/** One attempt. It settles its promise once, and hands the channel to the link, or ends it. */
class Handshake implements ChannelSink {
  readonly #options: LinkOptions;
  readonly #channel: FrameChannel;
  readonly #resolve: (link: Link) => void;
  readonly #reject: (reason: unknown) => void;
  readonly #timer: Timer;
  readonly #endListening: () => void;
  #onHello: OnHello = () => {};

  constructor(
    stream: ByteStream,
    options: LinkOptions,
    resolve: (link: Link) => void,
    reject: (reason: unknown) => void,
  ) {
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
    // Before the hellos nothing of the protocol may come, however short.
    this.#channel = new FrameChannel({
      env: options.env,
      stream,
      payloadBytesMax: 0,
      sink: this,
      onBug: options.onBug,
    });
    this.#timer = options.env.after(options.handshakeTimeoutMs ?? LIMITS.handshakeTimeoutMs, () =>
      this.#channel.close(CLOSE.handshakeTimeout, "no hello in time"),
    );
    this.#endListening = whenAborted(options.signal, (reason) => {
      this.#settle();
      this.#reject(reason);
      this.#channel.destroy({ code: CLOSE.cancelled, reason: "the dial was aborted", by: "us" });
    });
  }

  begin(role: (handshake: Handshake) => OnHello): void {
    this.#channel.guard(() => {
      this.#onHello = role(this);
    });
  }

  sendHello(payload: Uint8Array): void {
    const proof = this.#options.proofs.prove(this.#channel.stream);
    this.#channel.send(KIND.hello, encodeHello({ ...this.#options.hello, proof, payload }));
    // Whatever becomes of this link later in the turn, the peer learns whom it met.
    this.#channel.flush();
  }

  refuse(code: number, reason: string): void {
    this.#channel.close(code, reason);
  }

  complete(hello: Hello, version: number, isInitiator: boolean): void {
    this.#settle();
    const link = new FramedLink(this.#channel, {
      protocol: this.#options.protocol,
      isInitiator,
      version,
      features: (hello.features & this.#options.hello.features) >>> 0,
      remotePayload: hello.payload,
      frameBytesMax: this.#options.frameBytesMax,
      highWaterBytes: this.#options.highWaterBytes ?? LIMITS.linkHighWaterBytes,
    });
    this.#resolve(link);
  }

  onFrame(kind: number, payload: Uint8Array): void {
    if (kind !== KIND.hello) throw new DecodeError("a frame before the hello");
    const hello = decodeHello(payload);
    const verdict = this.#judge(hello);
    if ("refuse" in verdict) this.refuse(verdict.refuse, verdict.reason);
    else this.#onHello(hello, verdict.version);
  }

  onDrain(): void {}

  onClose(close: LinkClose): void {
    this.#settle();
    this.#reject(new HandshakeError(close));
  }

  #judge(hello: Hello): { readonly version: number } | Refusal {
    const { hello: ours, proofs } = this.#options;
    if (hello.network !== ours.network) return { refuse: CLOSE.differentNetwork, reason: "another network" };

    const version = negotiateVersion(ours, hello);
    if (version === undefined) {
      const reason = `versions ${ours.versionMin} to ${ours.versionMax} are spoken here`;
      return { refuse: CLOSE.versionMismatch, reason };
    }
    if (!proofs.verify(this.#channel.stream, hello.proof)) {
      return { refuse: CLOSE.invalidProof, reason: "the secret was not proved" };
    }
    return { version };
  }

  #settle(): void {
    this.#timer.cancel();
    this.#endListening();
  }
}

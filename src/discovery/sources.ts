import type { Env, Logger, Scope, Timer } from "../env/index.ts";
import type { PeerId } from "../identity/index.ts";
import { DialError, LinkRefused, type PeerAddress } from "../transport/index.ts";
import type { Link } from "../wire/index.ts";
import { backoffMs } from "./backoff.ts";

const RETRY_MS = { firstMs: 100, maxMs: 5_000 };
/** While others are there to talk to, a missing source is no hurry. */
const IDLE_RETRY_MS = { firstMs: 100, maxMs: 30_000 };
/** A source that fails this often in a row is reported, once: peers that start together miss each other once or twice. */
const WARN_AFTER_FAILURES = 3;

interface Source {
  readonly text: string;
  readonly address: PeerAddress;
  isSelf: boolean;
  hasAnswered: boolean;
  /** Who answered last. */
  peer: PeerId | undefined;
  failures: number;
  isDialling: boolean;
  timer: Timer | undefined;
}

export interface SourcesInit {
  readonly env: Env;
  readonly scope: Scope;
  readonly logger: Logger;
  readonly addresses: readonly { readonly text: string; readonly address: PeerAddress }[];
  readonly dial: (address: PeerAddress) => Promise<Link>;
  /** Takes the link over, in the turn that it came up. */
  readonly adopt: (link: Link) => void;
  readonly isLinked: (id: PeerId) => boolean;
  /** Linked, or in the catalog. */
  readonly isKnown: (id: PeerId) => boolean;
  readonly hasNeighbours: () => boolean;
}

/**
 * The bootstrap addresses. Each is dialled at once, then with back-off until it has answered; and again when the peer behind it is
 * forgotten, or when we are alone. So parts of a network that lost each other meet again where they met first.
 */
export class Sources {
  readonly #init: SourcesInit;
  readonly #sources: Source[];

  constructor(init: SourcesInit) {
    this.#init = init;
    this.#sources = init.addresses.map(({ text, address }) => ({
      text,
      address,
      isSelf: false,
      hasAnswered: false,
      peer: undefined,
      failures: 0,
      isDialling: false,
      timer: undefined,
    }));
  }

  /** None is configured but ourselves, or one has answered. */
  get isBootstrapped(): boolean {
    const others = this.#sources.filter((source) => !source.isSelf);
    return others.length === 0 || others.some((source) => source.hasAnswered);
  }

  /** Dials what is wanted and not under way. */
  poke(): void {
    for (const source of this.#sources) {
      if (source.timer === undefined && !source.isDialling && this.#isWanted(source)) this.#dial(source);
    }
  }

  /** We are alone: no source waits out its back-off. */
  hurry(): void {
    for (const source of this.#sources) {
      source.timer?.cancel();
      source.timer = undefined;
      source.failures = 0;
    }
    this.poke();
  }

  /** We were sent away, and are alone now: whoever answers us is not hurried. */
  wait(): void {
    for (const source of this.#sources) if (source.timer === undefined && !source.isDialling) this.#schedule(source, 6);
  }

  /** A link that this peer dialled answers for its source too. */
  onLinked(id: PeerId): void {
    for (const source of this.#sources) if (source.address.id === id) this.#answered(source, id);
  }

  inspect(): readonly object[] {
    return this.#sources.map(({ text, isSelf, hasAnswered, peer, failures }) => ({
      address: text,
      isSelf,
      hasAnswered,
      peer: peer ?? null,
      failures,
    }));
  }

  #isWanted(source: Source): boolean {
    if (source.isSelf) return false;
    if (!source.hasAnswered || source.peer === undefined) return true;
    return !this.#init.hasNeighbours() || !this.#init.isKnown(source.peer);
  }

  #dial(source: Source): void {
    const { dial, adopt, scope, isLinked } = this.#init;
    const { id } = source.address;
    if (id !== undefined && isLinked(id)) {
      this.#answered(source, id);
      return;
    }
    source.isDialling = true;
    scope.spawn(() =>
      dial(source.address).then(
        (link) => {
          source.isDialling = false;
          this.#answered(source, link.remoteId);
          adopt(link);
        },
        (cause: unknown) => {
          source.isDialling = false;
          if (!scope.isClosed) this.#failed(source, cause);
        },
      ),
    );
  }

  #answered(source: Source, peer: PeerId): void {
    if (source.failures >= WARN_AFTER_FAILURES) {
      this.#init.logger.info({ address: source.text, peer }, "bootstrap address answers now");
    }
    source.hasAnswered = true;
    source.peer = peer;
    source.failures = 0;
  }

  #failed(source: Source, cause: unknown): void {
    const { logger } = this.#init;
    if (cause instanceof DialError && cause.failure === "self") {
      source.isSelf = true;
      return;
    }
    source.failures += 1;
    const fields = { address: source.text, problem: describe(cause), failures: source.failures };
    if (source.failures === WARN_AFTER_FAILURES) logger.warn(fields, "bootstrap address cannot be reached, trying on");
    else logger.debug(fields, "bootstrap address cannot be reached");
    this.#schedule(source, source.failures);
  }

  #schedule(source: Source, failures: number): void {
    const { env, scope, hasNeighbours } = this.#init;
    const delayMs = backoffMs(env.random, failures, hasNeighbours() ? IDLE_RETRY_MS : RETRY_MS);
    source.timer = scope.after(delayMs, () => {
      source.timer = undefined;
      if (this.#isWanted(source)) this.#dial(source);
    });
  }
}

/** For the log: what people can act on. */
export function describe(cause: unknown): string {
  if (cause instanceof DialError) return `${cause.failure}: ${cause.message}`;
  if (cause instanceof LinkRefused) return `refused with ${cause.close.code} ${cause.close.reason}`;
  return cause instanceof Error ? cause.message : "unknown";
}

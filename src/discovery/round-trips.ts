import { type Env, type Logger, Scope, type Timer, whenAborted } from "../env/index.ts";
import type { PeerId } from "../identity/index.ts";
import { DialError, type Endpoint, LinkRefused } from "../transport/index.ts";
import { isNewRoundTrip, ProbePlan } from "./probe-plan.ts";
import { measureLink, PROBE_PROTOCOL, ProbeAnswers, ProbeEnded } from "./probes.ts";
import { describe } from "./sources.ts";
import type { DirectoryChange, PeerEntry } from "./types.ts";

/** Dial and pings together. */
const PROBE_TIMEOUT_MS = 10_000;

export interface RoundTripsInit {
  readonly env: Env;
  readonly logger: Logger;
  /** Not listening yet. */
  readonly endpoint: Endpoint;
  /** The others, by id. */
  readonly entries: () => readonly PeerEntry[];
  readonly entryOf: (id: PeerId) => PeerEntry | undefined;
  /** Its round trip is known, or is another. */
  readonly onMeasured: (entry: PeerEntry) => void;
  /** A bug of ours. */
  readonly onFailure: (cause: unknown) => void;
}

/** For people and tests; counts only grow. */
export interface RoundTripReport {
  readonly needs: number;
  /** Peers that are measured, and probes under way. */
  readonly measured: number;
  readonly underWay: number;
  readonly probes: number;
  readonly failures: number;
  /** Links of others, and pings on them. */
  readonly answering: number;
  readonly answered: number;
}

interface Need {
  readonly wants: (entry: PeerEntry) => boolean;
}

/** How far the others are. Peers are probed only while somebody needs to know; the probes of others are always answered. */
export class RoundTrips {
  readonly #init: RoundTripsInit;
  readonly #scope: Scope;
  readonly #answers: ProbeAnswers;
  readonly #plan: ProbePlan;
  readonly #needs = new Set<Need>();
  /** As told. Kept until the peer leaves. */
  readonly #toldMs = new Map<PeerId, number>();
  #timer: Timer | undefined;
  #probes = 0;
  #failures = 0;

  constructor(init: RoundTripsInit) {
    this.#init = init;
    this.#scope = new Scope(init.env, init.onFailure);
    this.#plan = new ProbePlan(init.env.random);
    this.#answers = new ProbeAnswers(this.#scope);
    this.#answers.offer(init.endpoint);
  }

  /** In ms. Undefined: not measured. */
  of(id: PeerId): number | undefined {
    return this.#toldMs.get(id);
  }

  /** As `PeerDirectory.measure`. */
  measure(wants: (entry: PeerEntry) => boolean): () => void {
    const need: Need = { wants };
    this.#needs.add(need);
    this.#review();
    return () => {
      if (this.#needs.delete(need)) this.#review();
    };
  }

  /** Something was heard of another peer. Before anybody else learns of it. */
  onChange({ type, entry }: DirectoryChange): void {
    const { id } = entry;
    if (type !== "left") {
      this.#judge(entry);
      this.#goOn();
      return;
    }
    this.#plan.drop(id);
    this.#toldMs.delete(id);
  }

  /** Ends the probes under way. */
  async close(): Promise<void> {
    this.#needs.clear();
    await this.#scope.close();
  }

  /** Plain JSON. */
  inspect(): RoundTripReport {
    return {
      needs: this.#needs.size,
      measured: this.#plan.size,
      underWay: this.#plan.underWay,
      probes: this.#probes,
      failures: this.#failures,
      answering: this.#answers.size,
      answered: this.#answers.pings,
    };
  }

  get #nowMs(): number {
    return Math.floor(this.#init.env.clock.monotonicUs() / 1_000);
  }

  #review(): void {
    for (const entry of this.#init.entries()) this.#judge(entry);
    this.#goOn();
  }

  #judge(entry: PeerEntry): void {
    for (const { wants } of this.#needs) if (wants(entry)) return this.#plan.want(entry.id, this.#nowMs);
    this.#plan.drop(entry.id);
  }

  /** Begins what is due, and wakes up for what will be. */
  #goOn(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#scope.isClosed) return;
    for (let id = this.#plan.take(this.#nowMs); id !== undefined; id = this.#plan.take(this.#nowMs)) this.#probe(id);
    const waitMs = this.#plan.waitMs(this.#nowMs);
    if (waitMs !== undefined) this.#timer = this.#scope.after(waitMs, () => this.#goOn());
  }

  #probe(id: PeerId): void {
    this.#probes += 1;
    this.#scope.spawn(async (closing) => {
      const measuredMs = await this.#roundTripMs(id, closing);
      if (measuredMs === undefined) this.#plan.failed(id, this.#nowMs);
      else {
        this.#plan.succeeded(id, this.#nowMs);
        this.#note(id, measuredMs);
      }
      this.#goOn();
    });
  }

  async #roundTripMs(id: PeerId, closing: AbortSignal): Promise<number | undefined> {
    const { endpoint, entryOf, env, logger } = this.#init;
    const deadline = new AbortController();
    const end = (): void => deadline.abort(new ProbeEnded("no answer in time"));
    const timer = this.#scope.after(PROBE_TIMEOUT_MS, end);
    const endListening = whenAborted(closing, end);
    try {
      const { signal } = deadline;
      const target = { id, addresses: entryOf(id)?.addresses ?? [] };
      const link = await endpoint.dial(target, PROBE_PROTOCOL, { signal });
      return await measureLink(link, env.clock, signal);
    } catch (cause) {
      if (!isExpected(cause)) throw cause;
      logger.debug({ peer: id, problem: describe(cause) }, "a round trip could not be measured");
      this.#failures += 1;
      return undefined;
    } finally {
      timer.cancel();
      endListening();
    }
  }

  #note(id: PeerId, measuredMs: number): void {
    const entry = this.#init.entryOf(id);
    if (entry === undefined || !isNewRoundTrip(this.#toldMs.get(id), measuredMs)) return;
    this.#toldMs.set(id, measuredMs);
    this.#init.onMeasured(entry);
  }
}

/** A peer's fault, or the network's. */
function isExpected(cause: unknown): boolean {
  return cause instanceof ProbeEnded || cause instanceof DialError || cause instanceof LinkRefused;
}

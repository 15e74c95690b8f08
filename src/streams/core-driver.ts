import type { EntryVersion } from "../discovery/index.ts";
import type { Scope, Timer } from "../env/index.ts";
import type { PeerId } from "../identity/index.ts";
import type { StreamContext } from "./context.ts";
import type { Candidate, Verdict } from "./matching/index.ts";
import type { TicketJudge } from "./ticket-judge.ts";

/** To be answered by `onVerdict`. */
interface Validate {
  readonly type: "validate";
  readonly id: PeerId;
  /** As it was when the question came up: what the answer is about. */
  readonly candidate: Candidate;
}

/** What is left for the core's owner. */
export type Performed<Effect> = Exclude<Effect, Validate>;

/** What `Sources` and `Admission` have in common. */
interface MatchingCore<Effect> {
  takeEffects(): readonly Effect[];
  takeProblem(): { readonly cause: unknown } | undefined;
  readonly nextAtMs: number | undefined;
  tick(nowMs: number): void;
  onVerdict(id: PeerId, version: EntryVersion, verdict: Verdict, nowMs: number): void;
}

export interface CoreDriverOptions<Effect> {
  readonly context: StreamContext;
  /** Its timers end with it. */
  readonly scope: Scope;
  readonly core: MatchingCore<Effect>;
  readonly judge: TicketJudge;
  /** For the log: whose rule throws. */
  readonly whose: { readonly stream: string; readonly end: "producer" | "consumer" };
  readonly perform: (effect: Performed<Effect>) => void;
}

/** Drives a matching core: has its effects performed until there are none, asks validators, and wakes it in time. */
export class CoreDriver<Effect extends { readonly type: string }> {
  readonly #o: CoreDriverOptions<Effect>;
  #timer: Timer | undefined;
  #isSettling = false;
  #isOver = false;

  constructor(options: CoreDriverOptions<Effect>) {
    this.#o = options;
  }

  /** The core's clock. */
  get nowMs(): number {
    return this.#o.context.env.clock.monotonicUs() / 1_000;
  }

  /** After each event: does what is to be done, until nothing is. */
  settle(): void {
    if (this.#isSettling || this.#isOver) return;
    const { core, scope } = this.#o;
    this.#isSettling = true;
    for (let effects = core.takeEffects(); effects.length > 0; effects = core.takeEffects()) {
      for (const effect of effects) {
        if (isValidate(effect)) this.#validate(effect);
        else this.#o.perform(effect as Performed<Effect>);
      }
    }
    this.#isSettling = false;
    this.#tellProblem();
    this.#timer?.cancel();
    const { nextAtMs } = core;
    if (nextAtMs === undefined) return;
    this.#timer = scope.after(Math.max(1, nextAtMs - this.nowMs), () => {
      core.tick(this.nowMs);
      this.settle();
    });
  }

  /** Nothing more is performed. */
  end(): void {
    this.#isOver = true;
    this.#timer?.cancel();
  }

  #tellProblem(): void {
    const { context, core, whose } = this.#o;
    const problem = core.takeProblem();
    if (problem !== undefined) context.logger.warn({ ...problem, stream: whose.stream }, `a ${whose.end}'s rule threw`);
  }

  #validate({ id, candidate }: Validate): void {
    const { context, core, judge } = this.#o;
    // No task of the scope, which waits for its tasks: a user's validator may never answer.
    judge
      .judge(candidate)
      .then((verdict) => {
        if (this.#isOver) return;
        core.onVerdict(id, candidate.version, verdict, this.nowMs);
        this.settle();
      })
      .catch(context.onBug);
  }
}

function isValidate(effect: { readonly type: string }): effect is Validate {
  return effect.type === "validate";
}

import type { TicketValidator } from "../discovery/index.ts";
import type { Env, Logger, OneOrMore } from "../env/index.ts";
import { UniqueId } from "../identity/index.ts";
import { answerOf, type Candidate, questionsOf, type Verdict, verdictOf } from "./matching/index.ts";

/** Asks the validators of a rule about the tickets of a peer. Their answers may take their time, and are heard in no particular order. */
export class TicketJudge {
  readonly #env: Env;
  readonly #logger: Logger;
  readonly #validators: readonly TicketValidator[];

  constructor(env: Env, logger: Logger, validators: OneOrMore<TicketValidator> | undefined) {
    this.#env = env;
    this.#logger = logger;
    this.#validators = validators === undefined ? [] : [validators].flat();
  }

  get isNeeded(): boolean {
    return this.#validators.length > 0;
  }

  /** Never rejects. */
  async judge({ peer, tickets }: Candidate): Promise<Verdict> {
    const questions = questionsOf(this.#validators, tickets);
    const answers = await Promise.all(
      questions.map((ofOne, i) =>
        Promise.all(
          ofOne.map(async (ticket): Promise<Verdict> => {
            try {
              return answerOf(await this.#validators[i]?.validate(ticket, peer));
            } catch (cause) {
              this.#logger.debug({ peer: UniqueId.short(peer.id), cause }, "a ticket was refused");
              return "refused";
            }
          }),
        ),
      ),
    );
    const { clock } = this.#env;
    return verdictOf(answers, { wallMs: clock.wallMs(), monotonicMs: clock.monotonicUs() / 1_000 });
  }
}

import type { Ticket, TicketValidator } from "../../discovery/index.ts";

/** Of one ticket or of all that a peer shows. `undefined`: without end. The clock is the one that the maker says. */
export type Verdict = { readonly validUntilMs: number | undefined } | "refused";

/** One moment on both clocks. Tickets end on the wall clock; we wait on the monotonic one, which nobody sets. */
export interface Moment {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

/** What each validator is to be asked about: the tickets of its class. */
export function questionsOf(
  validators: readonly TicketValidator[],
  tickets: readonly Ticket[],
): readonly (readonly Ticket[])[] {
  return validators.map((validator) => tickets.filter((ticket) => ticket.class === validator.class));
}

/**
 * What `validate` returned, on the wall clock. A validator is the user's code and may be plain JavaScript: whatever is
 * neither a valid date nor `undefined` is a refusal.
 */
export function answerOf(result: unknown): Verdict {
  if (result === undefined) return { validUntilMs: undefined };
  const time = (result as Partial<Date> | null)?.getTime;
  const endMs: unknown = typeof time === "function" ? time.call(result) : undefined;
  return typeof endMs === "number" && !Number.isNaN(endMs) ? { validUntilMs: endMs } : "refused";
}

/**
 * All validators must accept; each by the one of its tickets that is good for longest. The earliest of these ends is the end.
 * @param answers - for each validator, its answers to its tickets, on the wall clock. No validator at all accepts.
 * @returns on the monotonic clock
 */
export function verdictOf(answers: readonly (readonly Verdict[])[], now: Moment): Verdict {
  let endMs = Number.POSITIVE_INFINITY;
  for (const ofOne of answers) endMs = Math.min(endMs, latestEndMs(ofOne));
  if (endMs === Number.POSITIVE_INFINITY) return { validUntilMs: undefined };
  // Negated, so that no number that is none accepts.
  if (!(endMs > now.wallMs)) return "refused";
  return { validUntilMs: now.monotonicMs + (endMs - now.wallMs) };
}

/** Negative infinity: none was accepted. */
function latestEndMs(answers: readonly Verdict[]): number {
  let latestMs = Number.NEGATIVE_INFINITY;
  for (const answer of answers) {
    if (answer !== "refused") latestMs = Math.max(latestMs, answer.validUntilMs ?? Number.POSITIVE_INFINITY);
  }
  return latestMs;
}

/**
 * Who hears whom.
 *
 * A stream's consumers and producers find each other by the catalog alone: no node assigns anybody to anybody. Both sides choose. The consumer's side
 * (`Sources`) says which of the producers that advertise the stream it has links with, and when it tries again; the producer's side (`Admission`) says
 * which consumers may come and stay. Each judges the other by its newest entry, by its round trip, and by the tickets that it shows; and
 * judges again whenever one of these changes, for as long as the link lives.
 *
 * All of it is pure: events go in, effects come out, and a driver makes links of them. The validators of tickets are asked by the driver, since they may
 * take their time; what follows from their answers is here (`tickets.ts`).
 */
export { Admission, type AdmissionEffect, type AdmissionOptions, type Judgement } from "./admission.ts";
export type { Candidate } from "./candidate.ts";
export type { SourceView } from "./source.ts";
export { Sources, type SourcesEffect, type SourcesOptions } from "./sources.ts";
export { answerOf, type Moment, questionsOf, type Verdict, verdictOf } from "./tickets.ts";

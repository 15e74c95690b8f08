import { badOption, LIMITS, mosaikError, type OneOrMore } from "../env/index.ts";
import { UniqueId } from "../identity/index.ts";
import { asList } from "./options.ts";
import type { Peer, PeerRule } from "./peer.ts";
import type { Ticket } from "./types.ts";

/** Judges tickets of one class. */
export interface TicketValidator {
  readonly class: UniqueId;
  /**
   * Gives the end of a ticket (`undefined`: never), or throws to refuse it. Asked again when the peer's entry changes, and at the end.
   *
   * @param ticket - as the peer shows it: bytes of a stranger
   */
  validate(ticket: Ticket, peer: Peer): Date | undefined | Promise<Date | undefined>;
}

/** A peer must show a ticket for each validator that the validator accepts. */
export interface TicketRule {
  readonly ticket?: OneOrMore<TicketValidator> | undefined;
}

/** Whom to deal with, where there is time to judge tickets. `discovery.peers(rule)` answers at once, so it takes a `PeerRule`. */
export type AdmissionRule = PeerRule & TicketRule;

/** A ticket, or who makes it. */
export type TicketSource = Ticket | (() => Ticket | Promise<Ticket>);

/**
 * What can be known before anything is called. Tickets are copied.
 * @throws `bad-option` at once, with the option's name
 */
export function checkTicketSources(value: unknown, option = "tickets"): readonly TicketSource[] {
  const sources: readonly unknown[] = asList(value);
  if (sources.length > LIMITS.ticketsMax) throw badOption(option, `has more than ${LIMITS.ticketsMax} tickets`);
  return sources.map((source) =>
    typeof source === "function" ? (source as () => Ticket | Promise<Ticket>) : checkTicket(source, option),
  );
}

/** As `checkTicketSources`, where there are no functions. @throws `bad-option` */
export function checkTickets(value: readonly Ticket[] | undefined, option = "tickets"): readonly Ticket[] {
  return checkTicketSources(value, option).map((ticket) => checkTicket(ticket, option));
}

/**
 * Calls each function once, all at the same time.
 * @throws `bad-option` one threw (`cause`), or gave what is no ticket
 */
export function issueTickets(sources: readonly TicketSource[], option = "tickets"): Promise<readonly Ticket[]> {
  return Promise.all(
    sources.map(async (source) =>
      typeof source === "function" ? checkTicket(await issue(source, option), option) : source,
    ),
  );
}

async function issue(source: () => Ticket | Promise<Ticket>, option: string): Promise<Ticket> {
  try {
    return await source();
  } catch (cause) {
    // What it threw may hold the secret that it signs with: it is no part of our message.
    throw mosaikError("bad-option", `option \`${option}\` has a function that threw`, { details: { option }, cause });
  }
}

/** @throws `bad-option` */
function checkTicket(value: unknown, option: string): Ticket {
  const { class: ticketClass, data } = Object(value) as Partial<Record<keyof Ticket, unknown>>;
  if (!UniqueId.is(ticketClass)) throw badOption(option, "has a ticket whose `class` is no `UniqueId`");
  if (!(data instanceof Uint8Array)) throw badOption(option, "has a ticket whose `data` is no `Uint8Array`");
  if (data.length > LIMITS.ticketBytesMax) {
    throw badOption(option, `has a ticket of more than ${LIMITS.ticketBytesMax} bytes`);
  }
  return Object.freeze({ class: ticketClass, data: Uint8Array.from(data) });
}

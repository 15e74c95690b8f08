import { createHmac } from "node:crypto";
import type { Ticket } from "../../src/discovery/index.ts";
import { type NetworkOptions, type PeerId, type TicketValidator, UniqueId } from "../../src/index.ts";
import type { SimulatedNode, Simulation } from "../../src/sim/simulation.ts";

// For tests alone: JSON web tokens (HS256) as tickets. Each issuer's secret is its name.

const CLASS = UniqueId.from("test tokens");

export interface Token {
  /** Default: "us". */
  readonly issuer?: string;
  /** Who may show it. Default: the node that does. */
  readonly subject?: PeerId;
  /** From now on; default: an hour. Negative: it ended so long ago. */
  readonly lastsMs?: number;
}

const HOUR_MS = 3_600_000;
export const EXPIRED: Token = { lastsMs: -HOUR_MS };

const encoded = (part: object): string => Buffer.from(JSON.stringify(part)).toString("base64url");
const signed = (issuer: string, text: string): string =>
  createHmac("sha256", `secret of ${issuer}`).update(text).digest("base64url");

export function tokenFor(
  node: SimulatedNode,
  { issuer = "us", subject = node.peerId, lastsMs = HOUR_MS }: Token,
  simulation: Simulation,
): Ticket {
  const expiresMs = simulation.world.env("sim").clock.wallMs() + lastsMs;
  const text = [{ alg: "HS256" }, { iss: issuer, sub: subject, exp: expiresMs / 1_000 }].map(encoded).join(".");
  return { class: CLASS, data: Buffer.from(`${text}.${signed(issuer, text)}`) };
}

/** Takes this issuer's tokens, of those that they are made out to, until they end. */
export function issuedBy(issuer: string): TicketValidator {
  return {
    class: CLASS,
    validate: ({ data }, peer) => {
      const [header, payload = "", signature] = Buffer.from(data).toString().split(".");
      if (signature !== signed(issuer, `${header}.${payload}`)) throw new Error("another's signature");
      const { iss, sub, exp } = JSON.parse(Buffer.from(payload, "base64url").toString());
      if (iss !== issuer || sub !== peer.id) throw new Error("not for this peer");
      return new Date(exp * 1_000);
    },
  };
}

/** A node that shows these tokens, and is tagged with its name. */
export function guest(
  simulation: Simulation,
  name: string,
  tokens: readonly Token[],
  options: NetworkOptions = {},
): Promise<SimulatedNode> {
  const tickets = tokens.map((token) => () => tokenFor(simulation.node(name), token, simulation));
  return simulation.addNode(name, { tags: name, tickets, ...options });
}

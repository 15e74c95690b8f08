import {
  checkAttributes,
  checkBootstrap,
  checkTags,
  checkTicketSources,
  type Ticket,
  type TicketSource,
} from "./discovery/index.ts";
import {
  badOption,
  LIMITS,
  type Logger,
  mosaikError,
  type OneOrMore,
  type Options,
  silentLogger,
} from "./env/index.ts";
import { secretsOf } from "./groups/index.ts";
import type { Secret } from "./identity/index.ts";
import { parseAddress } from "./transport/index.ts";

export type NetworkOptions = Options<{
  /** Proved on every link, never sent; at least 16 characters. In a list the first is ours and all are accepted: rotation. */
  secret: OneOrMore<string>;
  /** `host:port`; port 0 is a free one. Default: a free port; on all interfaces with `secret`, else on loopback only. */
  listen: string;
  /** Allows a `listen` beyond loopback without `secret`, which is refused otherwise (`insecure-listen`). */
  insecure: boolean;
  /** Where peers reach us, if not where we listen. */
  advertise: OneOrMore<string>;
  /** `host:port` or `<peer-id>@host:port`. Commas separate several in one string. */
  bootstrap: OneOrMore<string>;
  /**
   * A folder of this node alone, made if it is missing: keeps its identity, and its groups. Default: a new peer in each run, with groups in
   * memory.
   */
  dataDir: string;
  tags: OneOrMore<string>;
  /** Small facts for others, such as the URL of your own service. At most 4 KiB. */
  attributes: Readonly<Record<string, string>>;
  /**
   * Shown to peers, whose validators judge them: at most 16, of 8 KiB each, 16 KiB with all else that this peer tells of itself. A function is
   * called once, at the start.
   */
  tickets: OneOrMore<Ticket | (() => Ticket | Promise<Ticket>)>;
  /** pino and console fit. Default: warnings to stderr, more with `MOSAIK_LOG=debug`; `false`: silence. */
  logger: Logger | false;
}>;

/** The options, checked, with their defaults. */
export interface CheckedOptions {
  readonly secrets: readonly Secret[];
  readonly listen: string;
  readonly advertise: readonly string[] | undefined;
  readonly bootstrap: readonly string[];
  readonly dataDir: string | undefined;
  readonly tags: readonly string[];
  readonly attributes: Readonly<Record<string, string>>;
  readonly tickets: readonly TicketSource[];
  readonly logger: Logger;
}

const KNOWN = [
  "secret",
  "listen",
  "insecure",
  "advertise",
  "bootstrap",
  "dataDir",
  "tags",
  "attributes",
  "tickets",
  "logger",
];

/** @throws `bad-option` naming the option, `insecure-listen`: at once, before anything is bound */
export function checkNetworkOptions(name: string, options: NetworkOptions, defaultLogger: Logger): CheckedOptions {
  if (typeof name !== "string" || name === "" || Buffer.byteLength(name) > LIMITS.nameBytesMax) {
    throw badOption("name", `must be a text of 1 to ${LIMITS.nameBytesMax} bytes`);
  }
  for (const key of Object.keys(options)) {
    // A misspelt option that is ignored is found in production; one of a later version is a promise that we do not keep.
    if (!KNOWN.includes(key)) throw badOption(key, "is not known to this version");
  }
  const secrets = secretsOf(options.secret);
  const listen = options.listen ?? (secrets.length > 0 ? "0.0.0.0:0" : "127.0.0.1:0");
  const { host } = checkAddress("listen", listen);
  if (secrets.length === 0 && options.insecure !== true && !isLoopback(host)) {
    throw mosaikError(
      "insecure-listen",
      `\`${listen}\` is reachable from outside; give a \`secret\`, or \`insecure: true\``,
      {
        details: { address: listen },
      },
    );
  }
  const advertise = options.advertise === undefined ? undefined : listOf("advertise", options.advertise);
  for (const address of advertise ?? []) checkAddress("advertise", address);
  return {
    secrets,
    listen,
    advertise,
    bootstrap: checkBootstrap(options.bootstrap).map(({ text }) => text),
    dataDir: checkDataDir(options.dataDir),
    tags: checkTags(listOf("tags", options.tags)),
    attributes: checkAttributes(options.attributes ?? {}) as Readonly<Record<string, string>>,
    tickets: checkTicketSources(options.tickets),
    logger: options.logger === false ? silentLogger : (options.logger ?? defaultLogger),
  };
}

function checkAddress(option: string, address: unknown): { readonly host: string } {
  const parsed = typeof address === "string" ? parseAddress(address) : undefined;
  if (parsed === undefined) throw badOption(option, "must be `host:port`");
  return parsed;
}

/** Empty is refused: a service whose variable is not set would be in memory without knowing it. */
function checkDataDir(path: unknown): string | undefined {
  if (path === undefined) return undefined;
  if (typeof path !== "string" || path.trim() === "" || path.includes("\0")) {
    throw badOption("dataDir", "must be the path of a folder");
  }
  return path;
}

/** One string may hold several, with commas; empty parts are dropped, so an empty environment variable is no option. */
function listOf(option: string, value: OneOrMore<string> | undefined): string[] {
  if (value === undefined) return [];
  const texts: readonly unknown[] =
    typeof value === "string" ? value.split(",") : Array.isArray(value) ? value : [value];
  return texts.flatMap((text) => {
    if (typeof text !== "string") throw badOption(option, "must be a text or a list of texts");
    return text.trim() === "" ? [] : [text.trim()];
  });
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

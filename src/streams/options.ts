import type { AdmissionRule, Peer, PeerCount } from "../discovery/index.ts";
import { badOption, checkFields, checkSynchronous, LIMITS } from "../env/index.ts";
import type { ConsumerOptions, Lagging, ProducerOptions } from "./types.ts";

export interface CheckedProducerOptions {
  readonly require: AdmissionRule;
  readonly maxConsumers: number;
  readonly maxQueued: number;
  readonly maxQueuedBytes: number;
  readonly lagging: Lagging;
  readonly onlineWhen: PeerCount;
  readonly undelivered: ((value: unknown) => void) | undefined;
}

export interface CheckedConsumerOptions {
  readonly require: AdmissionRule;
  readonly maxProducers: number | undefined;
  readonly prefer: ((peer: Peer) => number) | undefined;
  readonly maxQueued: number;
  readonly onInvalid: "skip" | "disconnect";
  readonly onlineWhen: PeerCount;
}

const RULE = ["tags", "maxRttMs", "where", "ticket"];
const LAGGING: readonly Lagging[] = ["disconnect", "drop-oldest", "drop-newest", "wait"];
const QUEUED_MAX = 1_000_000;

/** With their defaults. @throws `bad-option` */
export function checkProducerOptions<In>(options: ProducerOptions<In>): CheckedProducerOptions {
  checkFields(options, "options", [
    "require",
    "maxConsumers",
    "maxQueued",
    "maxQueuedBytes",
    "lagging",
    "onlineWhen",
    "undelivered",
  ]);
  const { lagging = "disconnect", undelivered } = options;
  if (!LAGGING.includes(lagging)) throw badOption("lagging", `must be one of ${LAGGING.join(", ")}`);
  checkFunction("undelivered", undelivered);
  return {
    require: checkRule("require", options.require, RULE),
    maxConsumers: checkCount(
      "maxConsumers",
      options.maxConsumers,
      LIMITS.streamConsumersMax,
      LIMITS.streamConsumersMax,
    ),
    maxQueued: checkCount("maxQueued", options.maxQueued, LIMITS.streamQueuedMax, QUEUED_MAX),
    maxQueuedBytes: checkCount("maxQueuedBytes", options.maxQueuedBytes, LIMITS.streamQueuedBytesMax, 2 ** 31),
    lagging,
    onlineWhen: checkPeerCount(options.onlineWhen, { minimumOf: 1 }),
    undelivered: undelivered as CheckedProducerOptions["undelivered"],
  };
}

/** With their defaults; `criteria` apart. @throws `bad-option` */
export function checkConsumerOptions(options: ConsumerOptions<unknown>): CheckedConsumerOptions {
  checkFields(options, "options", [
    "require",
    "criteria",
    "maxProducers",
    "prefer",
    "maxQueued",
    "onInvalid",
    "onlineWhen",
  ]);
  const { onInvalid = "skip", prefer } = options;
  if (onInvalid !== "skip" && onInvalid !== "disconnect")
    throw badOption("onInvalid", "must be `skip` or `disconnect`");
  checkFunction("prefer", prefer);
  return {
    require: checkRule("require", options.require, RULE),
    maxProducers:
      options.maxProducers === undefined ? undefined : checkCount("maxProducers", options.maxProducers, 1, QUEUED_MAX),
    prefer,
    maxQueued: checkCount("maxQueued", options.maxQueued, LIMITS.streamQueuedMax, QUEUED_MAX),
    onInvalid,
    onlineWhen: checkPeerCount(options.onlineWhen, { minimumOf: 0 }),
  };
}

function checkCount(option: string, value: unknown, otherwise: number, max: number): number {
  if (value === undefined) return otherwise;
  if (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= max) return value as number;
  throw badOption(option, `must be a whole number from 1 to ${max}`);
}

function checkFunction(option: string, value: unknown): void {
  if (value !== undefined) checkSynchronous(option, value);
}

function checkRule<Rule extends AdmissionRule>(option: string, rule: Rule | undefined, known: readonly string[]): Rule {
  const given = rule ?? ({} as Rule);
  checkFields(given, option, known);
  const { maxRttMs, where } = given;
  if (maxRttMs !== undefined && !(typeof maxRttMs === "number" && maxRttMs > 0)) {
    throw badOption(`${option}.maxRttMs`, "must be a positive number of milliseconds");
  }
  checkFunction(`${option}.where`, where);
  return given;
}

/** @throws `bad-option` */
export function checkPeerCount(count: PeerCount | undefined, otherwise: PeerCount, option = "onlineWhen"): PeerCount {
  if (count === undefined) return otherwise;
  const checked = checkRule(option, count as PeerCount & AdmissionRule, ["tags", "maxRttMs", "where", "minimumOf"]);
  const { minimumOf } = checked as PeerCount;
  if (minimumOf !== undefined && !(Number.isInteger(minimumOf) && minimumOf >= 0)) {
    throw badOption(`${option}.minimumOf`, "must be a whole number");
  }
  return checked;
}

import { badOption, LIMITS, type OneOrMore } from "../env/index.ts";
import { type PeerAddress, parsePeerAddress } from "../transport/index.ts";
import { attributesBytes, isTagText, isWellFormed } from "./entry.ts";

export function asList<T>(value: OneOrMore<T> | undefined): readonly T[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? (value as readonly T[]) : [value as T];
}

/** @throws `bad-option` at once, with the option's name */
export function checkTags(value: unknown, option = "tags"): readonly string[] {
  const tags = checkTexts(value, option);
  for (const tag of tags) {
    if (isTagText(tag)) continue;
    throw badOption(
      option,
      `has a tag that is empty, holds a control character, or is above ${LIMITS.tagBytesMax} bytes`,
    );
  }
  const sorted = [...new Set(tags)].sort();
  if (sorted.length > LIMITS.tagsMax) throw badOption(option, `has more than ${LIMITS.tagsMax} tags`);
  return sorted;
}

/**
 * Fields that are `undefined` are left out.
 * @throws `bad-option` at once, with the option's name
 */
export function checkAttributes(value: unknown, option = "attributes"): Readonly<Record<string, string>> {
  if (value === undefined) return {};
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw badOption(option, "is not an object");
  const pairs: [string, string][] = [];
  for (const [key, text] of Object.entries(value)) {
    if (text === undefined) continue;
    if (typeof text !== "string") throw badOption(option, "has a value that is not text");
    if (!isWellFormed(key) || !isWellFormed(text)) throw badOption(option, "has text that is not Unicode");
    pairs.push([key, text]);
  }
  const attributes: Record<string, string> = Object.fromEntries(pairs);
  if (attributesBytes(attributes) > LIMITS.attributesBytesMax) {
    throw badOption(option, `has more than ${LIMITS.attributesBytesMax} bytes`);
  }
  return attributes;
}

export interface BootstrapAddress {
  readonly text: string;
  readonly address: PeerAddress;
}

/**
 * `host:port` and `<peer-id>@host:port`; commas separate several in one string. Duplicates and empty parts are left out.
 * @throws `bad-option` at once, with the option's name
 */
export function checkBootstrap(value: unknown, option = "bootstrap"): readonly BootstrapAddress[] {
  const texts = checkTexts(value, option).flatMap((text) => text.split(",").map((part) => part.trim()));
  const wanted = [...new Set(texts.filter((text) => text !== ""))];
  if (wanted.length > LIMITS.bootstrapMax) throw badOption(option, `has more than ${LIMITS.bootstrapMax} addresses`);
  return wanted.map((text) => {
    const address = parsePeerAddress(text);
    if (address === undefined) throw badOption(option, "is neither `host:port` nor `<peer-id>@host:port`");
    return { text, address };
  });
}

function checkTexts(value: unknown, option: string): readonly string[] {
  const list: unknown = value === undefined ? [] : typeof value === "string" ? [value] : value;
  if (!Array.isArray(list) || !list.every((item) => typeof item === "string")) {
    throw badOption(option, "is neither text nor a list of texts");
  }
  return list as readonly string[];
}

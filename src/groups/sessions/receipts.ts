import { badOption, type Receipt } from "../../env/index.ts";
import type { SessionIndex } from "./sessions.ts";

/** What a receipt says: one batch of one session. The key tells it from a session of the same index in another incarnation. */
export interface ReceiptParts {
  readonly key: string;
  readonly session: SessionIndex;
  readonly number: number;
  /** Of commands in the batch. */
  readonly count: number;
}

const PATTERN = /^m1\.([0-9a-f]{32})\.([1-9][0-9]{0,15})\.([1-9][0-9]{0,15})\.([1-9][0-9]{0,5})$/;

export function encodeReceipt({ key, session, number, count }: ReceiptParts): Receipt {
  return `m1.${key}.${session}.${number}.${count}` as Receipt;
}

/** @throws `bad-option` for what is no receipt */
export function decodeReceipt(receipt: unknown): ReceiptParts {
  const [, key = "", session, number, count] = (typeof receipt === "string" ? PATTERN.exec(receipt) : null) ?? [];
  const parts = { key, session: Number(session), number: Number(number), count: Number(count) };
  if (Number.isSafeInteger(parts.session) && Number.isSafeInteger(parts.number)) return parts;
  throw badOption("receipt", "must be the `details.receipt` of an `outcome-unknown`");
}

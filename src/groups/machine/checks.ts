import { badOption } from "../../env/index.ts";

export function checkVersion(version: unknown): number {
  if (version === undefined) return 1;
  if (!Number.isSafeInteger(version) || (version as number) < 1) {
    throw badOption("version", "must be a positive integer");
  }
  return version as number;
}

import { badOption, checkName } from "../../env/index.ts";
import type { Codec } from "../../wire/index.ts";

export function checkVersion(version: unknown): number {
  if (version === undefined) return 1;
  if (!Number.isSafeInteger(version) || (version as number) < 1) {
    throw badOption("version", "must be a positive integer");
  }
  return version as number;
}

export function checkCodec(option: string, codec: Codec<unknown> | Codec<never>): void {
  if (typeof codec !== "object" || codec === null) throw badOption(option, "must be a codec");
  checkName(`${option}.name`, codec.name);
  if (typeof codec.encode !== "function") throw badOption(`${option}.encode`, "must be a function");
  if (typeof codec.decode !== "function") throw badOption(`${option}.decode`, "must be a function");
}

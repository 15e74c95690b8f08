import type { StandardSchemaV1 } from "@standard-schema/spec";
import { badOption, mosaikError } from "../env/index.ts";

/** zod, valibot, arktype and others. What a schema puts out is what is sent on or stored. */
// biome-ignore lint/suspicious/noExplicitAny: as in the public API, a schema's input is what its library says
export type Schema<Out, In = any> = StandardSchemaV1<In, Out>;

export type Validated<Out> =
  | { readonly ok: true; readonly value: Out }
  | { readonly ok: false; readonly issues: readonly StandardSchemaV1.Issue[] };

/**
 * Synchronous: replicas and hot paths cannot wait for a schema.
 *
 * @throws `bad-option` for a schema that answers with a promise
 */
export function validate<Out>(schema: Schema<Out>, value: unknown): Validated<Out> {
  const result = schema["~standard"].validate(value);
  if (result instanceof Promise || typeof (result as { then?: unknown }).then === "function") {
    Promise.resolve(result).catch(() => {}); // its failure is nobody's concern any more
    throw badOption("schema", "must be synchronous");
  }
  const settled = result as Exclude<typeof result, Promise<unknown>>;
  return settled.issues === undefined ? { ok: true, value: settled.value } : { ok: false, issues: settled.issues };
}

/**
 * What the schema makes of the value.
 *
 * @param what - for the message: "command `put`", "a value of stream `prices`"
 * @throws `schema-rejected` with the value in `details.rejected`; `bad-option` for a schema that answers with a promise
 */
export function parse<Out>(schema: Schema<Out>, value: unknown, what: string): Out {
  const result = validate(schema, value);
  if (result.ok) return result.value;
  throw mosaikError("schema-rejected", `${what} does not fit its schema`, {
    outcome: "not-applied",
    details: { issues: result.issues },
    hidden: { rejected: [value] },
  });
}

import {
  badOption,
  checkFields,
  checkName,
  checkSynchronous,
  LIMITS,
  mosaikError,
  type Options,
} from "../env/index.ts";
import {
  type ByteWriter,
  type Codec,
  checkCodec,
  type InlineCodec,
  inline,
  inlineMessagePack,
  parse,
  type Schema,
  type Validated,
  validate,
} from "../wire/index.ts";
import type { StreamDefinition } from "./types.ts";

/** What a stream needs of its definition. */
export interface StreamRuntime {
  readonly name: string;
  readonly codec: InlineCodec<unknown>;
  readonly schema: Schema<unknown> | undefined;
  readonly matches: ((value: unknown, criteria: unknown) => boolean) | undefined;
}

// A definition may come from another copy of the package, as a dependency of the user's own.
const RUNTIME = Symbol.for("mosaik.stream/1");

/**
 * Describes a stream: a name, and what its values are. Peers that use the name speak of the same stream.
 *
 * @param name - at most `LIMITS.nameBytesMax` (256) bytes
 * @param options.schema - checks values where they are sent, and again where they arrive; consumers get what it puts out. Synchronous.
 * @param options.codec - default: MessagePack of plain data. Its name is compared between peers
 * @param options.matches - runs at the producer, once for each distinct criteria among its consumers. Criteria come from peers, and may be anything;
 * those that make it throw fit nothing, and the first cause is logged. Synchronous
 * @throws `bad-option`
 */
export function defineStream<In = unknown, Out = In, Criteria = undefined>(
  name: string,
  options: Options<{
    schema: Schema<Out, In>;
    codec: Codec<In>;
    matches: (value: NoInfer<In>, criteria: Criteria) => boolean;
  }> = {},
): StreamDefinition<In, Out, Criteria> {
  checkName("name", name);
  checkFields(options, "options", ["schema", "codec", "matches"]);
  const { schema, codec, matches } = options;
  if (schema !== undefined && typeof schema?.["~standard"]?.validate !== "function") {
    throw badOption("schema", "must be a Standard Schema");
  }
  if (codec !== undefined) checkCodec("codec", codec);
  if (matches !== undefined) checkSynchronous("matches", matches);
  const runtime: StreamRuntime = {
    name,
    codec: codec === undefined ? inlineMessagePack : (inline(codec) as InlineCodec<unknown>),
    schema,
    matches: matches as StreamRuntime["matches"],
  };
  const definition: StreamDefinition<In, Out, Criteria> = { name };
  Object.defineProperty(definition, RUNTIME, { value: runtime, enumerable: false });
  return Object.freeze(definition);
}

/** @throws `bad-option` for what `defineStream` did not make */
export function runtimeOf(stream: StreamDefinition<never, unknown, never>): StreamRuntime {
  const runtime: unknown = typeof stream === "object" && stream !== null ? Reflect.get(stream, RUNTIME) : undefined;
  if (runtime === undefined) throw badOption("stream", "must come from `defineStream`");
  return runtime as StreamRuntime;
}

/**
 * Refuses a value before it is sent. The value itself is sent, not what the schema makes of it: that is the consumer's.
 *
 * @throws `schema-rejected`
 */
export function checkValue({ name, schema }: StreamRuntime, value: unknown): void {
  if (schema !== undefined) parse(schema, value, `a value of stream \`${name}\``);
}

/** What the schema makes of a value that came. One that makes it throw does not fit: no peer's value may break us. */
export function checkArrived({ schema }: StreamRuntime, value: unknown): Validated<unknown> {
  if (schema === undefined) return { ok: true, value };
  try {
    return validate(schema, value);
  } catch (cause) {
    return { ok: false, issues: [{ message: `the schema threw: ${cause instanceof Error ? cause.message : "?"}` }] };
  }
}

/** `matches`, for criteria of peers. Those that make it throw do not fit: no peer's criteria may break us. @param onProblem - the first cause, once */
export function matcherOf({ matches }: StreamRuntime, onProblem: (cause: unknown) => void): StreamRuntime["matches"] {
  if (matches === undefined) return undefined;
  let isTold = false;
  return (value, criteria) => {
    try {
      return matches(value, criteria);
    } catch (cause) {
      if (!isTold) onProblem(cause);
      isTold = true;
      return false;
    }
  };
}

/** Appends it. @throws `not-encodable`, `too-large`: the writer is as it was */
export function writeValue({ name, codec }: StreamRuntime, writer: ByteWriter, value: unknown): void {
  const start = writer.length;
  const hidden = { rejected: [value] };
  try {
    codec.write(writer, value);
  } catch (cause) {
    writer.truncate(start);
    const message = `a value of stream \`${name}\` cannot be encoded`;
    throw mosaikError("not-encodable", message, { outcome: "not-applied", hidden, cause });
  }
  const bytes = writer.length - start;
  const bytesMax = LIMITS.streamValueBytesMax;
  if (bytes <= bytesMax) return;
  writer.truncate(start);
  const message = `a value of stream \`${name}\` has ${bytes} bytes of at most ${bytesMax}`;
  throw mosaikError("too-large", message, { outcome: "not-applied", details: { bytesMax }, hidden });
}

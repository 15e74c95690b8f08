import { parseArgs } from "node:util";
import { fuzz } from "./fuzz.ts";
import { TARGETS } from "./targets.ts";

class UsageError extends Error {}

const USAGE = `npm run fuzz -- [--inputs COUNT=1000000] [--seed SEED=1] [--decoder NAME [--input HEX]] [--json]

Gives damaged and random bytes to every decoder that sees bytes of a peer or of a file. Each must give a value or refuse, soon and without much memory.
--decoder takes one of them only, and --input one input, as a failure printed it.`;

/** All well 0, a decoder failed 1, wrong usage 2, the harness itself failed 3. */
function main(): 0 | 1 | 2 | 3 {
  try {
    return run();
  } catch (error) {
    const isUsage = error instanceof UsageError;
    console.error(isUsage ? `${error.message}\n\n${USAGE}` : error);
    return isUsage ? 2 : 3;
  }
}

function parse() {
  try {
    const { values } = parseArgs({
      options: {
        inputs: { type: "string", default: "1000000" },
        seed: { type: "string", default: "1" },
        decoder: { type: "string" },
        input: { type: "string" },
        json: { type: "boolean", default: false },
      },
    });
    return values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function run(): 0 | 1 {
  const { inputs, seed, decoder, input, json } = parse();
  const targets = TARGETS.filter(({ name }) => decoder === undefined || name === decoder);
  if (targets.length === 0)
    throw new UsageError(`no such decoder; there are ${TARGETS.map(({ name }) => name).join(", ")}`);
  if (input !== undefined) {
    if (decoder === undefined) throw new UsageError("--input needs --decoder");
    console.log(targets[0]?.decode(new Uint8Array(Buffer.from(input, "hex"))));
    return 0;
  }
  const startMs = performance.now();
  const wanted = { inputs: wholeNumber("--inputs", inputs), seed: wholeNumber("--seed", seed) };
  const { decoders, failed, failures } = fuzz(targets, wanted.inputs, wanted.seed);
  const wallMs = Math.round(performance.now() - startMs);
  for (const failure of failures) {
    const replay = `npm run fuzz -- --decoder ${failure.decoder} --input ${failure.hex}`;
    if (json) console.log(JSON.stringify({ type: "failure", ...failure, seed: wanted.seed, replay }));
    else console.log(`${failure.decoder}: ${failure.reason} (seed ${wanted.seed})\nreplay: ${replay}\n`);
  }
  if (json)
    console.log(
      JSON.stringify({ type: "summary", inputs: wanted.inputs, decoders, failed, seed: wanted.seed, wallMs }),
    );
  else {
    console.table(decoders);
    console.log(`${wanted.inputs} inputs, ${failed} failed, seed ${wanted.seed}, ${(wallMs / 1000).toFixed(1)} s`);
  }
  return failed === 0 ? 0 : 1;
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) throw new UsageError(`${name} must be a whole number`);
  return value;
}

process.exitCode = main();

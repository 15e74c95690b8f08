import { parseArgs } from "node:util";
import { ATTACKS } from "./attacks.ts";
import { type Damage, megabytes, Siege } from "./siege.ts";

const USAGE = `npm run abuse -- [--attack TEXT] [--json]

A group of three, with an honest client, is attacked in every way that test/abuse knows; each line says how that client fared meanwhile.
--attack takes those whose title contains the text.`;

/** Unharmed 0, harmed 1, wrong usage 2. */
async function main(): Promise<0 | 1 | 2> {
  const options = { attack: { type: "string", default: "" }, json: { type: "boolean", default: false } } as const;
  let values: { attack: string; json: boolean };
  try {
    values = parseArgs({ options }).values;
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${USAGE}`);
    return 2;
  }
  const attacks = ATTACKS.filter(({ title }) => title.includes(values.attack));
  if (attacks.length === 0) {
    console.error(`no such attack; there are\n${ATTACKS.map(({ title }) => `  ${title}`).join("\n")}`);
    return 2;
  }
  const siege = await Siege.begin();
  let failed = 0;
  for (const { title, run } of attacks) {
    try {
      tell(title, await siege.withstand({ title, run }), values.json);
    } catch (error) {
      failed++;
      const problem = error instanceof Error ? error.message : String(error);
      if (values.json) console.log(JSON.stringify({ type: "attack", attack: title, verdict: "harmed", problem }));
      else console.log(`HARMED  ${title}: ${problem}`);
    }
  }
  siege.end();
  if (values.json) console.log(JSON.stringify({ type: "summary", attacks: attacks.length, failed }));
  else console.log(`${attacks.length} attacks, ${failed} did harm`);
  return failed === 0 ? 0 : 1;
}

function tell(attack: string, { rssGrowthBytes, notes, ...damage }: Damage, isJson: boolean): void {
  if (isJson) {
    console.log(JSON.stringify({ type: "attack", attack, verdict: "ok", ...damage, rssGrowthBytes, notes }));
    return;
  }
  const [p50, p99, max] = [damage.p50Ms, damage.p99Ms, damage.maxMs].map((ms) => ms.toFixed(1).padStart(6));
  const figures = `p50 ${p50}  p99 ${p99}  max ${max} ms  ${String(damage.commands).padStart(5)} commands`;
  const more = `${damage.leaderChanges} leader changes  ${megabytes(rssGrowthBytes).padStart(9)}`;
  console.log(`${figures}  ${more}  ${attack}${notes.length > 0 ? ` (${notes.join("; ")})` : ""}`);
}

process.exitCode = await main();

// Puts known flaws back into a copy of the source, one at a time, and wants the simulator to catch each of them.
//
// A file test/mutations/NAME.patch may have lines `seeds: COUNT` and `story: NAME` (as for `--story`: what catches it the soonest), then for each change the file and its old and new text:
//
//   --- src/raft/quorum.ts
//   <<<<<<<
//   old lines
//   =======
//   new lines
//   >>>>>>>
//
// The old text must be there exactly once, whatever stands around it, so that a patch survives changes elsewhere and never misses in silence.
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { ROOT } from "./ensure-dependencies.mjs";

const FOLDER = join(ROOT, "test", "mutations");
const SEEDS = 200;
/** Not a promise of the system, but a throw that nobody expected: it catches nothing. */
const NAMELESS = new Set(["no-bug", "assertion"]);

export class MutationError extends Error {}

/** The names of all, sorted. */
export function mutationNames(folder = FOLDER) {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".patch"))
    .map((file) => file.slice(0, -".patch".length))
    .sort();
}

export function readMutation(name, folder = FOLDER) {
  return parseMutation(name, readFileSync(join(folder, `${name}.patch`), "utf8"));
}

/** @throws MutationError for a text that does not follow the format */
export function parseMutation(name, text) {
  const fail = (problem) => {
    throw new MutationError(`${name}: ${problem}`);
  };
  const settings = new Map();
  const changes = [];
  let file;
  let part = "head";
  let [before, after] = [[], []];
  for (const line of text.split("\n")) {
    if (part === "old") {
      if (line === "=======") part = "new";
      else before.push(line);
    } else if (part === "new") {
      if (line !== ">>>>>>>") after.push(line);
      else {
        if (before.length === 0) fail("an old text is empty");
        changes.push({ file, before: before.join("\n"), after: after.join("\n") });
        [before, after, part] = [[], [], "head"];
      }
    } else if (line === "<<<<<<<") {
      if (file === undefined) fail("a change names no file");
      part = "old";
    } else if (line.startsWith("--- ")) file = line.slice(4).trim();
    else if (/^[a-z]+: /.test(line)) settings.set(line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2));
    else if (line !== "" && !line.startsWith("#")) fail(`cannot read: ${line}`);
  }
  if (part !== "head") fail("a change does not end");
  if (changes.length === 0) fail("nothing is changed");
  const unknown = [...settings.keys()].find((key) => key !== "seeds" && key !== "story");
  if (unknown !== undefined) fail(`there is no setting ${unknown}`);
  return { name, changes, seeds: Number(settings.get("seeds") ?? SEEDS), story: settings.get("story") };
}

/** @throws MutationError if an old text is not there, or more than once */
export function applyMutation({ name, changes }, root) {
  for (const { file, before, after } of changes) {
    const path = join(root, file);
    const source = readFileSync(path, "utf8");
    const found = source.split(before).length - 1;
    if (found !== 1) throw new MutationError(`${name}: the old text is ${found} times in ${file}:\n${before}`);
    writeFileSync(
      path,
      source.replace(before, () => after),
    );
  }
}

/** @returns the exit code: 1 if one escaped */
export async function runMutations(args) {
  let wanted;
  try {
    wanted = parse(args);
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    return 2;
  }
  const startMs = Date.now();
  let failed = 0;
  try {
    for (const name of wanted.names) {
      const result = await tryMutation(name, wanted);
      if (!result.caught || !result.controlOk) failed++;
      tell(wanted, result);
    }
  } catch (error) {
    process.stderr.write(`${error instanceof MutationError ? error.message : error.stack}\n`);
    return 3;
  }
  const summary = { type: "summary", runs: wanted.names.length, failed, wallMs: Date.now() - startMs };
  if (wanted.json) console.log(JSON.stringify(summary));
  else console.log(`${summary.runs} mutations, ${failed} failed, ${(summary.wallMs / 1000).toFixed(1)} s`);
  return failed === 0 ? 0 : 1;
}

function parse(args) {
  const { values } = parseArgs({
    args,
    options: {
      seed: { type: "string", default: "1" },
      seeds: { type: "string" },
      mutation: { type: "string" },
      mutations: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
    },
  });
  const all = mutationNames();
  if (values.mutation !== undefined && !all.includes(values.mutation)) {
    throw new Error(`there is no mutation "${values.mutation}"; there are: ${all.join(", ")}`);
  }
  const base = Number(values.seed);
  const seeds = values.seeds === undefined ? undefined : Number(values.seeds);
  if (!Number.isSafeInteger(base) || (seeds !== undefined && !(Number.isSafeInteger(seeds) && seeds > 0))) {
    throw new Error("--seed and --seeds must be whole numbers");
  }
  return { base, seeds, json: values.json, names: values.mutation === undefined ? all : [values.mutation] };
}

async function tryMutation(name, { base, seeds }) {
  const mutation = readMutation(name);
  const root = mkdtempSync(join(tmpdir(), "mosaik-mutation-"));
  try {
    for (const part of ["src", join("test", "stories"), "package.json", "tsconfig.json"])
      cpSync(join(ROOT, part), join(root, part), { recursive: true });
    symlinkSync(join(ROOT, "node_modules"), join(root, "node_modules"), "junction");
    applyMutation(mutation, root);
    const isCaught = ({ verdict, invariant }) => verdict === "violation" && !NAMELESS.has(invariant);
    const caught = await firstRun(root, mutation.story, base, seeds ?? mutation.seeds, isCaught);
    if (caught === undefined)
      return { type: "mutation", name, caught: false, seed: null, invariant: null, controlOk: true };
    const { seed, invariant } = caught;
    // The same seeds, up to the one that caught it, on the source as it is.
    const failure = await firstRun(ROOT, mutation.story, base, seed - base + 1, ({ verdict }) => verdict !== "ok");
    return { type: "mutation", name, caught: true, seed, invariant, controlOk: failure === undefined };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** Runs seeds one after the other until one is as wanted. */
function firstRun(root, story, base, seeds, isWanted) {
  const main = join(root, "src", "sim", "main.ts");
  const half = story === undefined ? [] : ["--story", story];
  const flags = ["--json", "--seed", String(base), "--seeds", String(seeds), ...half];
  // A story of test/stories is told by its file; all others are there anyway.
  const stories = pathToFileURL(join(root, "test", "stories", "all.ts")).href;
  const imports = ["--import", import.meta.resolve("tsx"), ...(story === undefined ? [] : ["--import", stories])];
  const args = [...imports, main, ...flags];
  const env = { ...process.env, TSX_TSCONFIG_PATH: join(root, "tsconfig.json") };
  const child = spawn(process.execPath, args, { cwd: root, env, stdio: ["ignore", "pipe", "inherit"] });
  return new Promise((resolve, reject) => {
    let found;
    createInterface({ input: child.stdout }).on("line", (text) => {
      const line = JSON.parse(text);
      if (found !== undefined || line.type !== "run" || !isWanted(line)) return;
      found = line;
      child.kill();
    });
    child.on("error", reject);
    child.on("close", (code) => {
      if (found !== undefined || code === 0 || code === 1) resolve(found);
      else reject(new Error(`the simulator ended with ${code} in ${root}`));
    });
  });
}

function tell({ json }, result) {
  if (json) return console.log(JSON.stringify(result));
  const { name, caught, seed, invariant, controlOk } = result;
  if (!caught) console.log(`${name}: ESCAPED`);
  else console.log(`${name}: caught by ${invariant} on seed ${seed}${controlOk ? "" : ", but the CONTROL failed"}`);
}

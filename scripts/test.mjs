// npm test [-- [--update] [node options] [files or folders]]
// Without paths: every *.test.ts under src/ and test/, in order of their names. `--update` writes the snapshots anew.
import { existsSync, readdirSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { ROOT } from "./ensure-dependencies.mjs";
import { runNode } from "./run.mjs";

const given = process.argv.slice(2);
const paths = given.filter((argument) => !argument.startsWith("-"));
const options = given.filter((argument) => argument.startsWith("-") && argument !== "--update");
const update = given.includes("--update");

for (const path of paths) {
  if (existsSync(path)) continue;
  console.error(`no such file or folder: ${path}`);
  process.exit(2);
}
const folders = paths.length > 0 ? paths.map((path) => resolve(path)) : [join(ROOT, "src"), join(ROOT, "test")];
const files = folders.flatMap(testFiles).sort();
if (files.length === 0) {
  console.error("no *.test.ts file found");
  process.exit(2);
}

const defaults = {
  "--test-concurrency": String(Math.max(2, availableParallelism())),
  "--test-timeout": "300000",
  "--test-reporter": "spec",
};
const settings = Object.entries(defaults)
  .filter(([name]) => !options.some((option) => option.startsWith(name)))
  .map(([name, value]) => `${name}=${value}`);
runNode(["--test", ...settings, ...options, ...files], {
  cwd: ROOT,
  env: update ? { MOSAIK_UPDATE_SNAPSHOTS: "1" } : {},
});

function testFiles(path) {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.name !== "node_modules" && entry.name !== "dist")
    .flatMap((entry) => {
      const inner = join(path, entry.name);
      if (entry.isDirectory()) return testFiles(inner);
      return entry.name.endsWith(".test.ts") ? [inner] : [];
    });
}

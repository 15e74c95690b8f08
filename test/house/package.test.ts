// The package as users get it: built, packed, installed into an empty project, compiled against and run.
import { deepEqual, equal, ok } from "node:assert/strict";
import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { ROOT } from "./source.ts";

const PROGRAM = `
import { defineMachine, Network } from "mosaik";
const Counter = defineMachine("counter", {
  state: () => ({ value: 0 }),
  commands: { add: (counter, by: number) => (counter.value += by) },
  queries: { value: (counter) => counter.value },
});
const network = await Network.create("ten-lines");
const counter = network.groups.join("visits", { machine: Counter, expect: 1 });
const { result, position }: { result: number; position: number } = await counter.execute({ add: 3 });
console.log(result, position, (await counter.query("value")).result);
await network.close();
`;

/** CommonJS, with the same types. */
const REQUIRING = `
import mosaik = require("mosaik");
mosaik.Network.create("from-commonjs").then(async (network: mosaik.Network) => {
  console.log(network.status().ready, typeof mosaik.MosaikError.is);
  await network.close();
});
`;

const SIMULATOR = `
import { simulate } from "mosaik/sim";
const run: Function = simulate;
console.log(typeof run);
`;

/** A storage that is not written yet keeps no promise. */
const TESTING = `
import { STORAGE_CONFORMANCE, type Storage, type StorageFactory } from "mosaik/testing";
class Mine implements StorageFactory {
  readonly isDurable = true;
  async open(): Promise<Storage> {
    throw new Error("not written yet");
  }
}
let failed = 0;
for (const { name, run } of STORAGE_CONFORMANCE) await run(new Mine()).catch((error: Error) => {
  if (name !== "" && error.message === "not written yet") failed++;
});
console.log(failed > 20 && failed === STORAGE_CONFORMANCE.length);
`;

const COMPILER_OPTIONS = {
  target: "es2022",
  module: "nodenext",
  strict: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  // Our declarations are checked as well, as they would be by a careful user.
  skipLibCheck: false,
  types: ["node"],
};

const folder = mkdtempSync(join(tmpdir(), "mosaik-package-"));
const packaged = join(folder, "package");
const project = join(folder, "project");
let packedFiles: readonly string[] = [];

function run(cwd: string, command: string, args: readonly string[]): SpawnSyncReturns<string> {
  const done = spawnSync(command, args, {
    cwd,
    encoding: "utf8",
    timeout: 120_000,
    shell: process.platform === "win32",
  });
  if (done.status !== 0)
    throw new Error(`${command} ${args.join(" ")} ended with ${done.status}\n${done.stdout}${done.stderr}`);
  return done;
}

/** Builds apart from the checkout's own dist/, and packs. */
function pack(): string {
  mkdirSync(packaged);
  for (const file of ["package.json", "README.md", "LICENSE", "CHANGELOG.md"])
    cpSync(join(ROOT, file), join(packaged, file));
  run(ROOT, process.execPath, ["scripts/build.mjs", "--out", join(packaged, "dist")]);
  const { stdout } = run(folder, "npm", ["pack", "./package", "--json"]);
  const [packed] = JSON.parse(stdout) as [{ filename: string; files: readonly { path: string }[] }];
  packedFiles = packed.files.map(({ path }) => path).sort();
  return join(folder, packed.filename);
}

/** With our lock file's versions, so that what `npm ci` left in the cache is enough. */
function install(tarball: string): void {
  const { packages } = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8"));
  const { name, version, dependencies, engines, license } = packages[""];
  const manifest = { name: "project", version: "1.0.0", type: "module", dependencies: { [name]: `file:${tarball}` } };
  const production = Object.entries<{ dev?: boolean }>(packages).filter(([path, entry]) => path !== "" && !entry.dev);
  const lock = {
    name: "project",
    version: "1.0.0",
    lockfileVersion: 3,
    requires: true,
    packages: {
      "": manifest,
      [`node_modules/${name}`]: { version, resolved: `file:${tarball}`, license, dependencies, engines },
      ...Object.fromEntries(production),
    },
  };
  mkdirSync(project);
  writeFileSync(join(project, "package.json"), JSON.stringify(manifest));
  writeFileSync(join(project, "package-lock.json"), JSON.stringify(lock));
  run(project, "npm", ["ci", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"]);
  // What a TypeScript project has beside.
  for (const tool of ["@types", "typescript", "undici-types"]) {
    const path = join(project, "node_modules", tool);
    if (!existsSync(path)) symlinkSync(join(ROOT, "node_modules", tool), path, "junction");
  }
}

function compile(): void {
  writeFileSync(join(project, "main.mts"), PROGRAM);
  writeFileSync(join(project, "simulator.mts"), SIMULATOR);
  writeFileSync(join(project, "testing.mts"), TESTING);
  writeFileSync(join(project, "requiring.cts"), REQUIRING);
  writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions: COMPILER_OPTIONS }));
  run(project, process.execPath, [join("node_modules", "typescript", "bin", "tsc"), "-p", "."]);
}

describe("the package", () => {
  before(() => {
    install(pack());
    compile();
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test("holds what is meant for users, and nothing else", () => {
    const others = packedFiles.filter((path) => !/^dist\/.+\.(js|d\.ts|LICENSE\.txt)$/.test(path));
    deepEqual(others, ["CHANGELOG.md", "LICENSE", "README.md", "package.json"]);
    deepEqual(
      packedFiles.filter((path) => /\.(test|bench|conformance)\./.test(path)),
      [],
    );
  });

  test("has every file that its exports name", () => {
    const { exports } = JSON.parse(readFileSync(join(packaged, "package.json"), "utf8"));
    const paths = Object.values<string | Record<string, string>>(exports).flatMap((target) =>
      typeof target === "string" ? [target] : Object.values(target),
    );
    ok(paths.length >= 5);
    deepEqual(
      paths.filter((path) => !packedFiles.includes(path.replace("./", ""))),
      [],
    );
  });

  test("brings no install script and no native part", () => {
    const { packages } = JSON.parse(readFileSync(join(project, "node_modules", ".package-lock.json"), "utf8"));
    const entries = Object.entries<{ hasInstallScript?: boolean; cpu?: unknown }>(packages);
    deepEqual(
      entries.filter(([path, entry]) => entry.hasInstallScript || entry.cpu || path.includes("msgpackr")),
      [],
    );
  });

  test("ten lines compile and run", () => {
    equal(run(project, process.execPath, ["main.mjs"]).stdout, "3 1 3\n");
  });

  test("CommonJS may require it", () => {
    equal(run(project, process.execPath, ["--no-warnings", "requiring.cjs"]).stdout, "true function\n");
  });

  test("the suite for storages is there", () => {
    equal(run(project, process.execPath, ["testing.mjs"]).stdout, "true\n");
  });

  test("the simulator is there", () => {
    equal(run(project, process.execPath, ["simulator.mjs"]).stdout, "function\n");
  });
});

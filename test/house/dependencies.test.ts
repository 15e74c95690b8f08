import { deepEqual, equal, ok } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ROOT } from "./source.ts";

interface LockEntry {
  readonly version?: string;
  readonly resolved?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly hasInstallScript?: boolean;
  readonly engines?: { readonly node?: string };
}
type Lock = { readonly packages: Readonly<Record<string, LockEntry>> };

const lock = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")) as Lock;
const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));

/** What a user of the package gets, with an install script. */
function productionScripts({ packages }: Lock): readonly string[] {
  return production({ packages }).filter((path) => packages[path]?.hasInstallScript === true);
}

function production({ packages }: Lock): readonly string[] {
  return Object.keys(packages).filter((path) => path !== "" && packages[path]?.dev !== true);
}

test("nothing that users install runs a script of its own", () => {
  ok(production(lock).length > 0);
  deepEqual(productionScripts(lock), []);
  for (const name of ["preinstall", "install", "postinstall", "prepare"]) equal(manifest.scripts[name], undefined);
});

test("a planted install script is found", () => {
  const packages = { ...lock.packages, "node_modules/planted": { version: "1.0.0", hasInstallScript: true } };
  deepEqual(productionScripts({ packages }), ["node_modules/planted"]);
});

test("the lock file names no registry", () => {
  const named = Object.entries(lock.packages).filter(([, entry]) => entry.resolved !== undefined);
  deepEqual(named, []);
});

test("the lock file has the packages of every platform: if not, run scripts/complete-lock.mjs", () => {
  const wanted = Object.values(lock.packages).flatMap((entry) => Object.keys(entry.optionalDependencies ?? {}));
  ok(wanted.length > 0);
  deepEqual(
    wanted.filter((name) => lock.packages[`node_modules/${name}`] === undefined),
    [],
  );
});

test("the lock file is that of package.json", () => {
  const root = lock.packages[""] as Record<string, unknown>;
  for (const field of ["name", "version", "dependencies", "devDependencies", "engines"]) {
    deepEqual(root[field], manifest[field], field);
  }
});

// node scripts/complete-lock.mjs
// Run it after `npm install`. A registry that lacks packages for other platforms leaves them out of package-lock.json, and `npm ci` then
// refuses the file on every machine. They are named in their owners' optionalDependencies by exact version, so they can be put back.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./ensure-dependencies.mjs";

const PLATFORM = /-(?<os>android|darwin|linux|win32)-(?<cpu>arm64|arm|x64)(?:-(?<libc>musl))?$/;

const path = join(ROOT, "package-lock.json");
const lock = JSON.parse(readFileSync(path, "utf8"));
for (const owner of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(owner.optionalDependencies ?? {})) {
    const key = `node_modules/${name}`;
    if (lock.packages[key] !== undefined) continue;
    const platform = PLATFORM.exec(name)?.groups;
    if (platform === undefined || !/^\d/.test(version)) {
      console.error(`cannot tell what ${name}@${version} is for`);
      process.exit(1);
    }
    const { os, cpu, libc } = platform;
    const dev = owner.dev ? { dev: true } : {};
    lock.packages[key] = { version, cpu: [cpu], ...dev, ...(libc ? { libc: [libc] } : {}), optional: true, os: [os] };
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);

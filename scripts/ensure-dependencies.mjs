// Installs the dependencies if they are missing or not those of package-lock.json. Needs npm and the rights of whoever owns the checkout.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** True if node_modules holds what the lock file asks for. */
export function isInstalled(root = ROOT) {
  const installedFile = join(root, "node_modules", ".package-lock.json");
  if (!existsSync(installedFile)) return false;
  const wanted = packagesOf(join(root, "package-lock.json"));
  const installed = packagesOf(installedFile);
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === "") continue;
    // Optional packages are left out where they do not fit the platform.
    if (installed[path] === undefined && entry.optional) continue;
    if (installed[path]?.version !== entry.version) return false;
    if (!existsSync(join(root, path, "package.json"))) return false;
  }
  return true;
}

/** Runs npm, as the same program that runs us where that is known. */
export function npm(args, options = {}) {
  const cli = process.env.npm_execpath;
  const isNpm = cli !== undefined && /npm-cli\.c?js$/.test(cli);
  const [command, prefix] = isNpm ? [process.execPath, [cli]] : ["npm", []];
  const shell = !isNpm && process.platform === "win32";
  return spawnSync(command, [...prefix, ...args], { cwd: ROOT, stdio: ["ignore", 2, 2], shell, ...options });
}

/** Ends the process if the installation fails. What npm says goes to standard error: standard output may be read by programs. */
export function ensureDependencies() {
  if (isInstalled()) return;
  console.error("Installing dependencies (npm ci) ...");
  // No package needs its install script: esbuild's binary is a package of its own, and msgpackr, which tests compare us with, works without its native part.
  const { status, error } = npm(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
  if (status === 0) return;
  console.error(`npm ci failed${error === undefined ? "" : `: ${error.message}`}`);
  process.exit(3);
}

function packagesOf(file) {
  return JSON.parse(readFileSync(file, "utf8")).packages ?? {};
}

if (process.argv[1] === fileURLToPath(import.meta.url)) ensureDependencies();

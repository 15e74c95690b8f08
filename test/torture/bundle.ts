import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const HERE = fileURLToPath(new URL(".", import.meta.url));

/**
 * Members and clients start often, so they are plain JavaScript, of one file each. It lies where Node finds the packages that it imports.
 *
 * @returns the folder that holds `member.mjs` and `client.mjs`
 */
export async function bundle(): Promise<string> {
  const folder = fileURLToPath(new URL(`../../node_modules/.cache/mosaik-torture/${process.pid}`, import.meta.url));
  mkdirSync(folder, { recursive: true });
  await build({
    entryPoints: ["member.ts", "client.ts"].map((name) => join(HERE, name)),
    outdir: folder,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    packages: "external",
    format: "esm",
    target: "node20",
    platform: "node",
    sourcemap: "inline",
    logLevel: "error",
  });
  return folder;
}

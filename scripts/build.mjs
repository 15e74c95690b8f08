// npm run build [-- --out FOLDER]
// Writes dist/ (or FOLDER): tsc's JavaScript and declarations, with msgpackr inside the one module that uses it.
//
// msgpackr would bring an optional native part with an install script into our users' trees. We use its JavaScript alone, so it is a
// development dependency, and its code becomes part of ours. Its licence goes with it.
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { ensureDependencies, ROOT } from "./ensure-dependencies.mjs";

const DIST = outFolder();
const INLINED = "msgpackr";

ensureDependencies();
rmSync(DIST, { recursive: true, force: true });
compile();
await inline();
copyFileSync(join(ROOT, "node_modules", INLINED, "LICENSE"), join(DIST, "wire", "msgpack.LICENSE.txt"));

function outFolder() {
  try {
    const { values } = parseArgs({ options: { out: { type: "string", default: join(ROOT, "dist") } } });
    return resolve(values.out);
  } catch (error) {
    console.error(error.message);
    process.exit(2);
  }
}

function compile() {
  const tsc = join(ROOT, "node_modules", "typescript", "bin", "tsc");
  const { status } = spawnSync(process.execPath, [tsc, "-p", join(ROOT, "tsconfig.build.json"), "--outDir", DIST], {
    stdio: "inherit",
  });
  if (status !== 0) process.exit(status ?? 3);
}

async function inline() {
  const { build } = await import("esbuild");
  const importers = listFiles(DIST).filter((file) => file.endsWith(".js") && mentions(file));
  if (importers.length !== 1) {
    console.error(`exactly one module may import ${INLINED}, not ${importers.length}: ${importers.join(", ")}`);
    process.exit(3);
  }
  const [entry] = importers;
  await build({
    absWorkingDir: ROOT,
    entryPoints: [entry],
    outfile: entry,
    allowOverwrite: true,
    bundle: true,
    format: "esm",
    target: "node20",
    platform: "node",
    // An output outside the repository has no node_modules above it.
    nodePaths: [join(ROOT, "node_modules")],
    legalComments: "inline",
    banner: { js: "// Contains msgpackr, Copyright (c) 2020 Kris Zyp, MIT: see msgpack.LICENSE.txt." },
    plugins: [{ name: "keep-ours-outside", setup: keepOursOutside }],
  });
  if (/msgpackr-extract|createRequire|node-gyp/.test(readFileSync(entry, "utf8"))) {
    console.error(`${entry} looks for a native part: import the plain JavaScript entry of ${INLINED}`);
    process.exit(3);
  }
  const declarations = listFiles(DIST).filter((file) => file.endsWith(".d.ts") && mentions(file));
  for (const file of [entry, ...declarations]) {
    if (!existsSync(file) || !mentions(file)) continue;
    console.error(`${file} still imports ${INLINED}`);
    process.exit(3);
  }
}

/** Only what comes from node_modules/msgpackr is taken in; our own modules and Node's stay imports. */
function keepOursOutside(build) {
  build.onResolve({ filter: /.*/ }, ({ path, importer, kind }) => {
    if (kind === "entry-point" || importer.includes(join("node_modules", INLINED))) return undefined;
    return path === INLINED || path.startsWith(`${INLINED}/`) ? undefined : { path, external: true };
  });
}

function mentions(file) {
  return /(?:from|import|require)\s*\(?\s*["']msgpackr/.test(readFileSync(file, "utf8"));
}

function listFiles(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? listFiles(path) : [path];
  });
}

import { equal } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";

const SCRIPTS = fileURLToPath(new URL("../../scripts", import.meta.url));

test("what the commands are made of loads where nothing is installed yet, since they install it themselves", () => {
  const folder = mkdtempSync(join(tmpdir(), "mosaik-fresh-"));
  try {
    cpSync(SCRIPTS, join(folder, "scripts"), { recursive: true });
    for (const file of ["run.mjs", "mutations.mjs"]) {
      const url = pathToFileURL(join(folder, "scripts", file)).href;
      const source = `await import(${JSON.stringify(url)})`;
      const { status, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", source], {
        cwd: folder,
        encoding: "utf8",
        env: { ...process.env, NODE_OPTIONS: "" },
      });
      equal(status, 0, `${file}: ${stderr}`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { realEnv } from "../../env/index.ts";
import { STORAGE_CONFORMANCE } from "../conformance.ts";
import { fileStorageFactory } from "./data-directory.ts";
import { realFileSystem } from "./real-file-system.ts";

for (const { name, run } of STORAGE_CONFORMANCE) {
  test(`files: ${name}`, async () => {
    const directory = mkdtempSync(join(tmpdir(), "mosaik-store-"));
    try {
      await run(fileStorageFactory(realEnv(), realFileSystem(), directory));
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
}

import { equal, ok, rejects } from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../env/index.ts";
import { SimFileSystem } from "./sim-file-system.ts";

test("what a failed sync dropped stays lost, though the next one succeeds: until the crash it looks written", async () => {
  let lost = 0;
  for (let seed = 1; seed <= 20; seed++) {
    const files = new SimFileSystem({ random: new SeededRandom(seed, "files") });
    files.furnish("/data");
    const file = await files.open("/data/log", "create");
    await files.syncDirectory("/data");
    await file.write(Buffer.alloc(512, 1), 0);
    files.failAfter(1);
    await rejects(file.syncData(), { code: "EIO" });
    await file.syncData();
    equal(files.bytes("/data/log")?.[0], 1);
    files.crash();
    if (files.bytes("/data/log")?.[0] !== 1) lost++;
  }
  ok(lost > 0);
});

import { deepEqual, equal, ok, rejects } from "node:assert/strict";
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

test("an older copy that is put back: what was durable when it was made, and nothing that came later, either time", async () => {
  const files = new SimFileSystem({ random: new SeededRandom(1, "files") });
  files.furnish("/data");
  const file = await files.open("/data/log", "create");
  await files.syncDirectory("/data");
  await file.write(Buffer.from("first"), 0);
  await file.syncData();
  const copy = files.copy();
  for (let time = 1; time <= 2; time++) {
    const again = await files.open("/data/log", "write");
    await again.write(Buffer.from("later"), 0);
    await again.syncData();
    await files.open("/data/other", "create");
    await files.syncDirectory("/data");
    files.crash();
    files.putBack(copy);
    deepEqual(files.paths(), ["/data", "/data/log"]);
    equal(files.bytes("/data/log")?.toString(), "first");
  }
});

import { deepEqual, equal, throws } from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
// @ts-expect-error: a plain script has no types
import { applyMutation, mutationNames, parseMutation, readMutation } from "../../scripts/mutations.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

test("each mutation still finds what it changes, and changes it", () => {
  const names: readonly string[] = mutationNames();
  equal(names.length >= 6, true);
  for (const name of names) {
    const folder = mkdtempSync(join(tmpdir(), "mosaik-mutation-"));
    try {
      const mutation = readMutation(name);
      for (const { file } of mutation.changes) cpSync(join(ROOT, file), join(folder, file), { recursive: true });
      applyMutation(mutation, folder);
      for (const { file } of mutation.changes) {
        equal(readFileSync(join(folder, file), "utf8") === readFileSync(join(ROOT, file), "utf8"), false, name);
      }
      throws(() => applyMutation(mutation, folder), /the old text is 0 times/, `${name} leaves its old text there`);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
});

test("the format: a head, then changes, each of one file", () => {
  const text = "# why\nseeds: 5\nstory: core\n--- a.ts\n<<<<<<<\none\n\ntwo\n=======\n>>>>>>>\n<<<<<<<\nx\n=======\ny\n>>>>>>>\n";
  deepEqual(parseMutation("m", text), {
    name: "m",
    seeds: 5,
    story: "core",
    changes: [
      { file: "a.ts", before: "one\n\ntwo", after: "" },
      { file: "a.ts", before: "x", after: "y" },
    ],
  });
  const wrong: readonly [string, RegExp][] = [
    ["", /nothing is changed/],
    ["--- a.ts\n<<<<<<<\nx\n=======\ny\n", /does not end/],
    ["<<<<<<<\nx\n=======\ny\n>>>>>>>\n", /names no file/],
    ["--- a.ts\n<<<<<<<\n=======\ny\n>>>>>>>\n", /empty/],
    ["some prose\n", /cannot read/],
    ["speed: 5\n--- a.ts\n<<<<<<<\nx\n=======\ny\n>>>>>>>\n", /no setting speed/],
  ];
  for (const [bad, problem] of wrong) throws(() => parseMutation("m", bad), problem);
});

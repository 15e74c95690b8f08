import { deepEqual, equal, match, ok } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createProgram, diagnose } from "./compiler.ts";
import { ROOT, readSources } from "./source.ts";

test("test/types infers what it should, and refuses what it should", () => {
  const paths = readSources("test/types").map(({ path }) => path);
  ok(paths.length > 0);
  deepEqual(diagnose(createProgram(paths), paths), []);
});

test("a refusal that is none is found", () => {
  const path = "test/types/planted.ts";
  const text = `
    import { defineMachine } from "../../src/groups/machine/index.ts";
    // @ts-expect-error this is quite right
    defineMachine("fine", { state: () => ({}), commands: {} });
    export const wrong: string = defineMachine;`;
  const found = diagnose(createProgram([], { [path]: text }), [path]);
  equal(found.length, 2);
  match(found[0] ?? "", /Unused '@ts-expect-error'/);
});

test("the TypeScript of README.md and docs/ compiles", () => {
  const virtual: Record<string, string> = {};
  for (const path of ["README.md"]) {
    const blocks = [...readFileSync(join(ROOT, path), "utf8").matchAll(/^```ts\n(.*?)^```$/gms)];
    blocks.forEach((block, index) => {
      virtual[`test/types/${path}-${index + 1}.ts`] = block[1] ?? "";
    });
  }
  const paths = Object.keys(virtual);
  ok(paths.length > 0);
  deepEqual(diagnose(createProgram([], virtual), paths), []);
});

import { deepEqual, match } from "node:assert/strict";
import { test } from "node:test";
import { layerFindings } from "./layers.ts";
import { parse, readSources, show } from "./source.ts";

test("layers point down, through index.ts", () => {
  deepEqual(show(readSources("src").flatMap(layerFindings)), []);
});

const planted: readonly [path: string, text: string, finding: RegExp][] = [
  ["src/wire/a.ts", 'import { x } from "../raft/index.ts";', /`wire` .* may not import `raft`/],
  ["src/wire/a.ts", 'import type { X } from "../metrics/index.ts";', /may not import `metrics`/],
  ["src/env/a.ts", 'import { x } from "../identity/index.ts";', /may not import `identity`/],
  ["src/raft/a.ts", 'import { type X } from "../transport/index.ts";', /may not import/],
  ["src/raft/a.ts", 'export * from "../storage/index.ts";', /may not import/],
  ["src/raft/a.ts", 'type X = import("../storage/index.ts").X;', /may not import/],
  ["src/groups/machine/a.ts", 'await import("../../streams/index.ts");', /may not import/],
  ["src/groups/a.test.ts", 'import { x } from "../network.ts";', /may not import/],
  ["src/discovery/a.ts", 'import { x } from "../identity/ids.ts";', /through an index.ts only/],
  ["src/network.ts", 'import { x } from "./index.ts";', /may not import/],
  ["src/index.ts", 'import { x } from "./sim/index.ts";', /may not import `sim`/],
  ["src/groups/a.ts", 'import { x } from "../wire/index.js";', /must end in .ts/],
  ["src/groups/a.ts", 'import { x } from "../../test/x.ts";', /outside src/],
  ["src/groups/a.ts", 'import { x } from "mosaik";', /own name/],
  ["src/utils/a.ts", "export {};", /has no layer/],
];
for (const [path, text, expected] of planted) {
  test(`finds ${text} in ${path}`, () => {
    const findings = show(layerFindings(parse(path, text)));
    deepEqual(findings.length, 1);
    match(findings[0] ?? "", expected);
  });
}

test("lets arrows down, and a folder's own files, be", () => {
  const text = `
    import { a } from "./own.ts";
    import { b } from "./machine/index.ts";
    import { c } from "../raft/index.ts";
    import type { D } from "../transport/tls/index.ts";
    import { createHash } from "node:crypto";`;
  deepEqual(layerFindings(parse("src/groups/a.ts", text)), []);
  deepEqual(layerFindings(parse("src/index.ts", 'export { Network } from "./network.ts";')), []);
});

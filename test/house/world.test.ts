import { deepEqual, ok } from "node:assert/strict";
import { test } from "node:test";
import { parse, readSources, show } from "./source.ts";
import { worldFindings } from "./world.ts";

test("the world comes through env/ alone", () => {
  deepEqual(show(readSources("src").flatMap(worldFindings)), []);
});

const forbidden: readonly string[] = [
  "const now = Date.now();",
  "const now = new Date();",
  "const now = performance.now();",
  "const x = Math.random();",
  "const { random } = Math;",
  'const x = Math["random"]();',
  "const m = Math;",
  "const x = Math.log(2) + 1;",
  "const x = Math.exp(2);",
  "const x = Math.pow(2, 3);",
  "setTimeout(() => {}, 1);",
  "setInterval(() => {}, 1);",
  "setImmediate(() => {});",
  "clearTimeout(handle);",
  "globalThis.setTimeout(() => {}, 1);",
  'const now = global["Date"];',
  "const timers = { setTimeout };",
  "const later = { run: setTimeout };",
  "function wait(timer = setTimeout) {}",
  "const { timer = setTimeout } = options;",
  "class Mine extends Date {}",
  "const signal = AbortSignal.timeout(5);",
  "const home = process.env.HOME;",
  "process.nextTick(() => {});",
  "const ref = new WeakRef(object);",
  "const format = new Intl.NumberFormat();",
  'const order = a.localeCompare("b");',
  "const text = total.toLocaleString();",
  "crypto.getRandomValues(bytes);",
  "const key = await crypto.subtle.digest(name, bytes);",
  'import { randomBytes } from "node:crypto";',
  'import { webcrypto } from "node:crypto";',
  'import { generateKeyPairSync } from "node:crypto";',
  'import * as crypto from "node:crypto";',
  'import crypto from "node:crypto";',
  'import { randomBytes } from "@noble/hashes/utils.js";',
  'import { sign } from "node:crypto"; sign(undefined, data, key, (error) => {});',
  'import { connect } from "node:net";',
  'import type { Socket } from "node:net";',
  'import tls from "node:tls";',
  'import "node:dgram";',
  'import { readFileSync } from "node:fs";',
  'import { readFile } from "node:fs/promises";',
  'import { deflate } from "node:zlib";',
  'import { setTimeout as sleep } from "node:timers/promises";',
  'const fs = await import("node:fs");',
  'const fs = require("fs");',
  "const module = await import(name);",
  'export { readFile } from "node:fs";',
  'import { pack } from "msgpackr";',
  'import { z } from "zod";',
];
for (const text of forbidden) {
  test(`finds: ${text}`, () => {
    ok(worldFindings(parse("src/groups/planted.ts", text)).length > 0);
  });
}

const harmless: readonly string[] = [
  "const x: Date | undefined = undefined;",
  "interface Clock { readonly performance: number; setTimeout(): void }",
  "const fields = { process: 1, Date: 2 };",
  "const x = clock.performance.now() + machine.process.length;",
  "const x = Math.max(1, Math.floor(2.5), Math.trunc(3));",
  "const both = AbortSignal.any([a, b]);",
  "if (value instanceof AbortSignal) use(value);",
  "function open(options: { signal: AbortSignal }): void {}",
  "queueMicrotask(() => {});",
  'import { createHash, timingSafeEqual } from "node:crypto";',
  'import { isIP } from "node:net";',
  'import { blake3 } from "@noble/hashes/blake3.js";',
  "// setTimeout(() => {}, 1)",
  'const text = "Date.now()";',
];
for (const text of harmless) {
  test(`lets be: ${text}`, () => deepEqual(show(worldFindings(parse("src/groups/planted.ts", text))), []));
}

test("an exception is for the files that are named, and for what they are named for", () => {
  const clock = "const now = Date.now();";
  deepEqual(worldFindings(parse("src/env/real.ts", clock)), []);
  ok(worldFindings(parse("src/env/scope.ts", clock)).length > 0);
  ok(worldFindings(parse("src/env/real.ts", 'import "node:fs";')).length > 0);
  deepEqual(worldFindings(parse("src/groups/a.test.ts", clock)), []);
});

import { deepEqual } from "node:assert/strict";
import { test } from "node:test";
import ts from "typescript";
import { type Finding, finding, isTest, parse, readSources, type Source, show, walk } from "./source.ts";

const FILE_LINES_MAX = 400;
const FUNCTION_LINES_MAX = 70;

/** What is too long to be read at once. Tests and suites may be: they are lists of cases. */
function sizeFindings(source: Source): readonly Finding[] {
  if (isTest(source.path) || /\/conformance(-[a-z]+)?\.ts$/.test(source.path)) return [];
  const { tree } = source;
  const findings: Finding[] = [];
  // A file ends with a line break, so the last line is empty.
  const lines = tree.getLineAndCharacterOfPosition(tree.end).line;
  if (lines > FILE_LINES_MAX) findings.push(finding(source, tree, `has ${lines} lines of at most ${FILE_LINES_MAX}`));
  walk(tree, (node) => {
    if (!ts.isFunctionLike(node)) return;
    const first = tree.getLineAndCharacterOfPosition(node.getStart(tree)).line;
    const count = tree.getLineAndCharacterOfPosition(node.end).line - first + 1;
    if (count <= FUNCTION_LINES_MAX) return;
    findings.push(finding(source, node, `a function has ${count} lines of at most ${FUNCTION_LINES_MAX}`));
  });
  return findings;
}

test("files and functions fit", () => {
  deepEqual(show(readSources("src", "scripts", "demo", "test").flatMap(sizeFindings)), []);
});

test("finds what is too long, and lets be what just fits", () => {
  const lines = (count: number): string => "x();\n".repeat(count);
  const count = (path: string, text: string): number => sizeFindings(parse(path, text)).length;
  deepEqual(count("src/a.ts", lines(FILE_LINES_MAX)), 0);
  deepEqual(count("src/a.ts", lines(FILE_LINES_MAX + 1)), 1);
  deepEqual(count("src/a.test.ts", lines(FILE_LINES_MAX + 1)), 0);
  const functions = [
    (body: string) => `function f() {\n${body}}\n`,
    (body: string) => `const f = () => {\n${body}};\n`,
    (body: string) => `class A {\n  m() {\n${body}}\n}\n`,
    (body: string) => `class A {\n  constructor() {\n${body}}\n}\n`,
  ];
  for (const make of functions) {
    deepEqual(count("src/a.ts", make(lines(FUNCTION_LINES_MAX - 2))), 0);
    deepEqual(count("src/a.ts", make(lines(FUNCTION_LINES_MAX - 1))), 1);
  }
});

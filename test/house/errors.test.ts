import { deepEqual, ok } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import ts from "typescript";
import { ROOT, readSources, walk } from "./source.ts";

/** The fields of `ErrorDetails`, each with the names of its details. */
function registry(): ReadonlyMap<string, readonly string[]> {
  const codes = new Map<string, readonly string[]>();
  const [source] = readSources("src/env").filter(({ path }) => path === "src/env/errors.ts");
  ok(source !== undefined);
  walk(source.tree, (node) => {
    if (!ts.isInterfaceDeclaration(node) || node.name.text !== "ErrorDetails") return;
    for (const member of node.members) {
      ok(ts.isPropertySignature(member) && member.type !== undefined);
      const name = member.name as ts.StringLiteral | ts.Identifier;
      codes.set(name.text, detailsOf(member.type));
    }
  });
  return codes;
}

function detailsOf(type: ts.TypeNode): readonly string[] {
  const details: string[] = [];
  walk(type, (node) => {
    if (ts.isPropertySignature(node)) details.push((node.name as ts.Identifier).text);
    if (ts.isTypeReferenceNode(node) && node.typeName.getText() === "Rejected") details.push("rejected");
  });
  return details.sort();
}

/** Rows of the table, whose first column is the code and whose third has the details. */
function documented(): ReadonlyMap<string, readonly string[]> {
  const text = readFileSync(join(ROOT, "docs/design/errors.md"), "utf8");
  const rows = text.split("\n").filter((line) => line.startsWith("| `"));
  return new Map(
    rows.map((row) => {
      const [, code = "", , details = ""] = row.split("|").map((cell) => cell.trim());
      return [code.replaceAll("`", ""), [...details.matchAll(/`(\w+)`/g)].map((match) => match[1] ?? "").sort()];
    }),
  );
}

test("the codes and details of the registry are those of docs/design/errors.md, in one order", () => {
  ok(registry().size > 10);
  deepEqual([...documented()], [...registry()]);
});

test("every code of the registry is thrown somewhere, or said to come later", () => {
  const used = new Set<string>();
  for (const { path, tree } of readSources("src")) {
    if (path === "src/env/errors.ts" || path.endsWith(".test.ts")) continue;
    walk(tree, (node) => {
      if (ts.isStringLiteral(node)) used.add(node.text);
      if (ts.isIdentifier(node) && node.text === "badOption") used.add("bad-option");
    });
  }
  const text = readFileSync(join(ROOT, "docs/design/errors.md"), "utf8");
  const later = [...registry().keys()].filter((code) => new RegExp(`^\\| \`${code}\` .*\\(later\\)`, "m").test(text));
  const unused = [...registry().keys()].filter((code) => !used.has(code));
  deepEqual(unused, later);
});

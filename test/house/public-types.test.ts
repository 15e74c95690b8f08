// What users can name, with its declaration, as text. A difference is a change of the public surface: `npm test -- --update` writes it anew.
import { deepEqual, equal, ok } from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import ts from "typescript";
import { createProgram } from "./compiler.ts";
import { ROOT } from "./source.ts";

const ENTRIES: Readonly<Record<string, string>> = {
  mosaik: "src/index.ts",
  "mosaik/sim": "src/sim/index.ts",
  "mosaik/testing": "src/testing/index.ts",
};
const SNAPSHOT = join(ROOT, "test/house/public-types.txt");

/** Emits the declarations into memory, as the build would, and reads them back. */
function declarationsOf(entries: readonly string[]): ts.Program {
  const virtual: Record<string, string> = {};
  const options = {
    noEmit: false,
    declaration: true,
    emitDeclarationOnly: true,
    stripInternal: true,
    outDir: join(ROOT, "types"),
  };
  createProgram(entries, {}, options).emit(undefined, (path, text) => {
    if (path.endsWith(".d.ts")) virtual[path.slice(ROOT.length)] = text;
  });
  return createProgram([], virtual);
}

/** Each entry's exports, then whatever else of ours their declarations name. Sorted, without comments. */
function publicTypes(): string {
  const program = declarationsOf(Object.values(ENTRIES));
  const checker = program.getTypeChecker();
  const named = new Set<ts.Declaration>();
  const sections = Object.entries(ENTRIES).map(([name, entry]) => {
    const path = join(ROOT, "types", entry.replace(/\.ts$/, ".d.ts"));
    const file = program.getSourceFile(path);
    const module = file && checker.getSymbolAtLocation(file);
    ok(module, `${entry} exports something`);
    const symbols = checker.getExportsOfModule(module).sort((a, b) => compare(a.name, b.name));
    const texts = symbols.flatMap((symbol) => declarationTexts(checker, symbol, named));
    return [`// ── ${name} ──`, ...texts].join("\n");
  });
  return `${[...sections, ["// ── named by these ──", ...alsoNamed(checker, named)].join("\n")].join("\n\n")}\n`;
}

function declarationTexts(checker: ts.TypeChecker, symbol: ts.Symbol, named: Set<ts.Declaration>): readonly string[] {
  const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
  ok(target.declarations, `${symbol.name} is declared somewhere`);
  return target.declarations.map((declaration) => {
    named.add(declaration);
    const text = print(declaration);
    return target.name === symbol.name ? text : `/* as ${symbol.name} */ ${text}`;
  });
}

function alsoNamed(checker: ts.TypeChecker, named: Set<ts.Declaration>): readonly string[] {
  const texts: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node)) {
      const symbol = checker.getSymbolAtLocation(node);
      const target = symbol && symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
      for (const declaration of target?.declarations ?? []) {
        if (!isOurs(declaration) || named.has(declaration)) continue;
        named.add(declaration);
        texts.push(print(declaration));
        visit(declaration);
      }
    }
    ts.forEachChild(node, visit);
  };
  for (const declaration of [...named]) visit(declaration);
  return texts.sort(compare);
}

/** A top-level declaration of this package: not a type parameter, not a member, not a library's. */
function isOurs(declaration: ts.Declaration): boolean {
  const path = declaration.getSourceFile().fileName;
  if (!path.startsWith(join(ROOT, "types"))) return false;
  const owner = ts.isVariableDeclaration(declaration) ? declaration.parent.parent : declaration;
  return ts.isSourceFile(owner.parent);
}

function print(declaration: ts.Declaration): string {
  const node = ts.isVariableDeclaration(declaration) ? declaration.parent.parent : declaration;
  const printer = ts.createPrinter({ removeComments: true });
  return printer.printNode(ts.EmitHint.Unspecified, node, declaration.getSourceFile());
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

test("the public types are those of the snapshot", () => {
  const now = publicTypes();
  if (process.env["MOSAIK_UPDATE_SNAPSHOTS"] === "1") writeFileSync(SNAPSHOT, now);
  deepEqual(now.split("\n"), readFileSync(SNAPSHOT, "utf8").split("\n"));
});

test("nothing internal is public", () => {
  const text = readFileSync(SNAPSHOT, "utf8");
  for (const word of ["MachineRuntime", "mosaikError(", ": any;"]) equal(text.includes(word), false, word);
});

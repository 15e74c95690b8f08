import { readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** A parsed file. `path` is relative to the repository, with slashes. */
export interface Source {
  readonly path: string;
  readonly tree: ts.SourceFile;
}

/** What a rule found wrong, with the place. */
export interface Finding {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

export function isTest(path: string): boolean {
  return path.endsWith(".test.ts");
}

export function parse(path: string, text: string): Source {
  return { path, tree: ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true) };
}

/** All TypeScript files and scripts in these folders, sorted. */
export function readSources(...folders: readonly string[]): readonly Source[] {
  const paths = folders.flatMap((folder) => listFiles(join(ROOT, folder))).sort();
  return paths
    .filter((path) => /\.(ts|mjs)$/.test(path) && !path.endsWith(".d.ts"))
    .map((path) => parse(relative(ROOT, path).split(sep).join("/"), readFileSync(path, "utf8")));
}

function listFiles(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && !/[\\/](node_modules|dist)([\\/]|$)/.test(entry.parentPath))
    .map((entry) => join(entry.parentPath, entry.name));
}

export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => walk(child, visit));
}

export function finding(source: Source, node: ts.Node, message: string): Finding {
  const { line } = source.tree.getLineAndCharacterOfPosition(node.getStart(source.tree));
  return { path: source.path, line: line + 1, message };
}

/** One line for each, so that a failed test shows all at once. */
export function show(findings: readonly Finding[]): readonly string[] {
  return findings.map(({ path, line, message }) => `${path}:${line}: ${message}`);
}

/** What a file imports, in whatever form: import, export from, import type, import(), require(). */
export interface Import {
  readonly from: string;
  readonly node: ts.Node;
  /** Names as exported there; `*` for a whole module; undefined for an import of effects alone. */
  readonly names: readonly string[] | undefined;
}

export function importsOf(source: Source): readonly Import[] {
  const imports: Import[] = [];
  walk(source.tree, (node) => {
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
      imports.push({ from: node.moduleSpecifier.text, node, names: importedNames(node.importClause) });
    } else if (ts.isExportDeclaration(node) && node.moduleSpecifier && ts.isStringLiteral(node.moduleSpecifier)) {
      const clause = node.exportClause;
      const names =
        clause && ts.isNamedExports(clause) ? clause.elements.map((e) => (e.propertyName ?? e.name).text) : ["*"];
      imports.push({ from: node.moduleSpecifier.text, node, names });
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      if (ts.isStringLiteral(node.argument.literal)) {
        imports.push({ from: node.argument.literal.text, node, names: ["*"] });
      }
    } else if (ts.isCallExpression(node) && isDynamicImport(node)) {
      const [argument] = node.arguments;
      // A computed one cannot be judged, so it counts as everything.
      const from = argument && ts.isStringLiteralLike(argument) ? argument.text : "(computed)";
      imports.push({ from, node, names: ["*"] });
    }
  });
  return imports;
}

function isDynamicImport(node: ts.CallExpression): boolean {
  const callee = node.expression;
  return callee.kind === ts.SyntaxKind.ImportKeyword || (ts.isIdentifier(callee) && callee.text === "require");
}

function importedNames(clause: ts.ImportClause | undefined): readonly string[] | undefined {
  if (clause === undefined) return undefined;
  const names: string[] = clause.name ? ["default"] : [];
  const bindings = clause.namedBindings;
  if (bindings && ts.isNamespaceImport(bindings)) names.push("*");
  if (bindings && ts.isNamedImports(bindings))
    names.push(...bindings.elements.map((e) => (e.propertyName ?? e.name).text));
  return names;
}

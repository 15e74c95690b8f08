import { join, relative } from "node:path";
import ts from "typescript";
import { ROOT } from "./source.ts";

const configuration = readConfiguration();

function readConfiguration(): ts.ParsedCommandLine {
  const path = join(ROOT, "tsconfig.json");
  const { config } = ts.readConfigFile(path, ts.sys.readFile);
  return ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
}

/** A program of these files, with the settings of tsconfig.json. `virtual` files exist in memory alone; all paths are relative to the repository. */
export function createProgram(
  paths: readonly string[],
  virtual: Readonly<Record<string, string>> = {},
  options: ts.CompilerOptions = {},
): ts.Program {
  const settings = { ...configuration.options, ...options };
  const host = ts.createCompilerHost(settings);
  const texts = new Map(Object.entries(virtual).map(([path, text]) => [join(ROOT, path), text]));
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (path) => texts.has(path) || fileExists(path);
  // Folders of virtual files count as well; that a file is not there is found out anyway.
  host.directoryExists = () => true;
  host.readFile = (path) => texts.get(path) ?? readFile(path);
  host.getSourceFile = (path, version, ...rest) => {
    const text = texts.get(path);
    return text === undefined ? getSourceFile(path, version, ...rest) : ts.createSourceFile(path, text, version, true);
  };
  return ts.createProgram([...paths.map((path) => join(ROOT, path)), ...texts.keys()], settings, host);
}

/** What the compiler says about these files, one line each. */
export function diagnose(program: ts.Program, paths: readonly string[]): readonly string[] {
  return paths.flatMap((path) => {
    const file = program.getSourceFile(join(ROOT, path));
    if (file === undefined) return [`${path}: is not there`];
    return ts.getPreEmitDiagnostics(program, file).map(describe);
  });
}

export function describe(diagnostic: ts.Diagnostic): string {
  const text = ts.flattenDiagnosticMessageText(diagnostic.messageText, " ");
  if (diagnostic.file === undefined || diagnostic.start === undefined) return text;
  const { line } = diagnostic.file.getLineAndCharacterOfPosition(diagnostic.start);
  return `${relative(ROOT, diagnostic.file.fileName)}:${line + 1}: ${text}`;
}

import ts from "typescript";
import { type Finding, finding, type Import, importsOf, isTest, type Source, walk } from "./source.ts";

/** Names that reach for the world: time, chance, the process, other threads, the machine's language. */
const FORBIDDEN_GLOBALS = new Set([
  ..."Date performance setTimeout setInterval setImmediate clearTimeout clearInterval clearImmediate process".split(
    " ",
  ),
  ..."WeakRef FinalizationRegistry Intl crypto fetch navigator WebSocket EventSource Worker MessageChannel".split(" "),
  ..."BroadcastChannel SharedArrayBuffer Atomics WebAssembly CompressionStream DecompressionStream eval".split(" "),
  ..."globalThis global".split(" "),
]);
/** Exact on every machine. All others (`random`, `log`, `exp`, `pow`, `sin`, ...) are not. */
const MATH = new Set("abs ceil clz32 floor fround imul max min round sign sqrt trunc MAX_SAFE_INTEGER".split(" "));
const ABORT_SIGNAL = new Set(["any", "abort"]);
/** Methods that depend on the machine's language, on whatever they are called. */
const FORBIDDEN_METHODS = /^(localeCompare|toLocale\w+)$/;

/** Modules that are pure, with the names that may be had. `undefined`: all. */
const MODULES: Readonly<Record<string, ReadonlySet<string> | undefined>> = {
  "node:buffer": undefined,
  "node:util": undefined,
  "node:events": undefined,
  "node:diagnostics_channel": undefined,
  "node:crypto": names(
    "createHash createHmac createPublicKey createPrivateKey sign verify timingSafeEqual hkdfSync KeyObject",
  ),
  "node:net": names("isIP isIPv4 isIPv6"),
  "node:zlib": names("deflateRawSync inflateRawSync crc32 constants"),
  "@noble/hashes/blake3.js": undefined,
  "@noble/hashes/utils.js": names("bytesToHex hexToBytes concatBytes utf8ToBytes"),
  "@standard-schema/spec": undefined,
};
/** In a call with this many arguments the last one is a callback, and the work is done on another thread. */
const CALLBACK_ARGUMENTS: Readonly<Record<string, number>> = { sign: 4, verify: 5 };

/** Who may do what the others may not: a file or a folder, and the globals and modules that it is there for. */
const ALLOWED: readonly { readonly path: RegExp; readonly names: ReadonlySet<string> }[] = [
  {
    path: /^src\/env\/real\.ts$/,
    names: names("Date performance setTimeout setImmediate clearTimeout clearImmediate process node:crypto"),
  },
  // The end of a turn, which is the same in every run.
  { path: /^src\/env\/turn\.ts$/, names: names("process") },
  // Virtual time stands on Node's own turns, and watches for whoever goes around it.
  {
    path: /^src\/env\/virtual(-[a-z]+)?\.ts$/,
    names: names("globalThis setImmediate process node:async_hooks node:timers"),
  },
  // It replaces them, to tell who calls them.
  {
    path: /^src\/env\/virtual-tripwire\.ts$/,
    names: names("Date performance setTimeout clearTimeout Math crypto"),
  },
  {
    path: /^src\/transport\/tls\//,
    names: names("node:net node:tls node:os node:dns/promises node:crypto"),
  },
  // Real files, and a lock among processes.
  { path: /^src\/storage\/file\/real-file-system\.ts$/, names: names("node:fs") },
  { path: /^src\/storage\/file\/data-directory\.ts$/, names: names("node:fs node:path") },
  { path: /^src\/storage\/file\/directory-lock\.ts$/, names: names("node:fs node:net process") },
  // Dates as values that come and go.
  { path: /^src\/wire\/value-(reader|writer)\.ts$/, names: names("Date") },
  // A command line, not part of what it runs.
  {
    path: /^src\/(sim|cli)\/(main|command)(-[a-z]+)?\.ts$/,
    names: names("process performance node:process node:fs node:path"),
  },
  // Suites for implementations of an interface: run by a test runner alone.
  { path: /\/conformance(-[a-z]+)?\.ts$/, names: names("node:test node:assert node:assert/strict") },
];

function names(text: string): ReadonlySet<string> {
  return new Set(text.split(" "));
}

/** Where a file touches the world without having the right to. Tests may. */
export function worldFindings(source: Source): readonly Finding[] {
  if (!source.path.startsWith("src/") || isTest(source.path)) return [];
  const allowed = new Set(ALLOWED.filter(({ path }) => path.test(source.path)).flatMap((entry) => [...entry.names]));
  const findings = importsOf(source).flatMap((one) => judgeImport(source, one, allowed));
  walk(source.tree, (node) => findings.push(...judgeNode(source, node, allowed)));
  return findings;
}

function judgeImport(source: Source, one: Import, allowed: ReadonlySet<string>): readonly Finding[] {
  if (one.from.startsWith(".") || allowed.has(one.from)) return [];
  if (!(one.from in MODULES)) return [finding(source, one.node, `imports \`${one.from}\``)];
  const pure = MODULES[one.from];
  if (pure === undefined) return [];
  return (one.names ?? ["*"])
    .filter((name) => !pure.has(name))
    .map((name) => finding(source, one.node, `imports \`${name}\` of \`${one.from}\``));
}

function judgeNode(source: Source, node: ts.Node, allowed: ReadonlySet<string>): readonly Finding[] {
  if (ts.isPropertyAccessExpression(node) && FORBIDDEN_METHODS.test(node.name.text)) {
    return [finding(source, node, `calls \`${node.name.text}\``)];
  }
  if (ts.isCallExpression(node) && ts.isIdentifier(node.expression)) {
    const count = CALLBACK_ARGUMENTS[node.expression.text];
    if (count !== undefined && node.arguments.length >= count) {
      return [finding(source, node, `\`${node.expression.text}\` with a callback leaves the thread`)];
    }
  }
  if (!ts.isIdentifier(node) || !isReference(node) || allowed.has(node.text)) return [];
  if (FORBIDDEN_GLOBALS.has(node.text)) return [finding(source, node, `uses \`${node.text}\``)];
  if (node.text === "Math") return judgeMember(source, node, MATH);
  if (node.text === "AbortSignal") return judgeMember(source, node, ABORT_SIGNAL);
  return [];
}

/** `Math` and its like are fine by the members listed, and in no other way: neither computed, nor taken apart, nor handed on. */
function judgeMember(source: Source, node: ts.Identifier, pure: ReadonlySet<string>): readonly Finding[] {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent) && parent.expression === node && pure.has(parent.name.text)) return [];
  if (ts.isBinaryExpression(parent) && parent.operatorToken.kind === ts.SyntaxKind.InstanceOfKeyword) return [];
  return [finding(source, node, `uses \`${parent.getText(source.tree).slice(0, 60)}\``)];
}

/** True where the name stands for a value that the file did not make: not a type, not a field's name, not a declaration. */
function isReference(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent) || ts.isQualifiedName(parent)) {
    return ts.isPropertyAccessExpression(parent) && parent.expression === node;
  }
  if (ts.isTypeNode(parent) && !ts.isExpressionWithTypeArguments(parent)) return ts.isTypeQueryNode(parent);
  if (ts.isShorthandPropertyAssignment(parent)) return true;
  if (ts.isImportSpecifier(parent) || ts.isExportSpecifier(parent) || ts.isImportClause(parent)) return false;
  if (ts.isBindingElement(parent)) return parent.initializer === node;
  const named = parent as ts.Node & { readonly name?: ts.Node };
  return named.name !== node;
}

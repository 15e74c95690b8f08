import { posix } from "node:path";
import { type Finding, finding, type Import, importsOf, isTest, type Source } from "./source.ts";

/** Lower numbers may be imported, equal ones not. `env` and `identity` serve the others of layer 0, so they come below them. */
const LAYERS: Readonly<Record<string, number>> = {
  env: 0,
  identity: 0.1,
  wire: 0.2,
  metrics: 0.2,
  raft: 1,
  transport: 1,
  tickets: 1,
  tee: 2,
  storage: 2,
  discovery: 2,
  streams: 3,
  groups: 3,
  collections: 4,
  "network-options.ts": 4.9,
  "network-metrics.ts": 4.9,
  "network.ts": 5,
  "index.ts": 5.1,
  sim: 6,
  testing: 6,
  cli: 6,
};

/** Arrows that do not point down, or do not go through an `index.ts`. */
export function layerFindings(source: Source): readonly Finding[] {
  const own = topOf(source.path);
  if (own === undefined) return [];
  const layer = LAYERS[own];
  if (layer === undefined) return [finding(source, source.tree, `\`${own}\` has no layer: add it to the list`)];
  return importsOf(source).flatMap((one) => judge(source, own, layer, one));
}

function judge(source: Source, own: string, layer: number, one: Import): readonly Finding[] {
  const bad = (message: string): readonly Finding[] => [finding(source, one.node, message)];
  if (one.from === "mosaik" || one.from.startsWith("mosaik/")) return bad("imports the package by its own name");
  if (!one.from.startsWith(".")) return [];
  if (!one.from.endsWith(".ts")) return bad(`\`${one.from}\` must end in .ts`);
  const target = posix.join(posix.dirname(source.path), one.from);
  const other = topOf(target);
  // Tests may share their bench: it is never part of the package.
  if (isTest(source.path) && target.startsWith("test/")) return [];
  if (other === undefined) return bad(`\`${one.from}\` is outside src/`);
  if (other === own) return [];
  const otherLayer = LAYERS[other];
  if (otherLayer === undefined) return bad(`\`${other}\` has no layer`);
  if (otherLayer >= layer) return bad(`\`${own}\` (${layer}) may not import \`${other}\` (${otherLayer})`);
  if (other.endsWith(".ts") || target.endsWith("/index.ts")) return [];
  // Suites are not part of what they test: nobody else loads them.
  if (own === "testing" && target.endsWith("/conformance.ts")) return [];
  return bad(`\`${other}\` may be imported through an index.ts only, not \`${one.from}\``);
}

/** The folder, or file, right under src/. */
function topOf(path: string): string | undefined {
  const [first, second] = path.split("/");
  return first === "src" ? second : undefined;
}

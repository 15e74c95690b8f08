// What people copy into their own systems must at least be what it says.
import { deepEqual, equal, ok } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ROOT } from "./source.ts";

type Yaml = string | Yaml[] | { [key: string]: Yaml };

/** The part of YAML that manifests are written in: maps and lists by indentation, plain and quoted scalars, one-line lists. */
function parseYaml(text: string): Yaml {
  const lines = text
    .split("\n")
    .filter((line) => line.trim() !== "" && !line.trim().startsWith("#"))
    .map((line) => ({ indent: line.length - line.trimStart().length, text: line.trim() }));
  const value = block(lines, 0);
  equal(lines.length, 0, `all of it was read, but for ${lines[0]?.text}`);
  return value;
}

type Line = { indent: number; text: string };

function block(lines: Line[], indentMin: number): Yaml {
  const [first] = lines;
  ok(first !== undefined && first.indent >= indentMin, "a value");
  const { indent } = first;
  if (first.text.startsWith("- ")) {
    const list: Yaml[] = [];
    while (lines[0]?.indent === indent && lines[0].text.startsWith("- ")) {
      // What follows the dash is a block of its own, two columns further in.
      lines[0] = { indent: indent + 2, text: lines[0].text.slice(2) };
      list.push(block(lines, indent + 2));
    }
    return list;
  }
  const map: { [key: string]: Yaml } = {};
  while (lines[0]?.indent === indent) {
    const [, key = "", rest = ""] = /^([\w-]+):(?: (.*))?$/.exec(lines[0].text) ?? [];
    ok(key !== "" && !(key in map), `a key, once: ${lines[0].text}`);
    lines.shift();
    map[key] = rest === "" ? block(lines, indent + 1) : scalar(rest);
  }
  return map;
}

function scalar(text: string): Yaml {
  const list = /^\[(.*)\]$/.exec(text)?.[1];
  return list === undefined ? text.replace(/^"(.*)"$/, "$1") : list.split(",").map((item) => item.trim());
}

/** By path, such as `spec.containers.0.name`. */
function at(value: Yaml | undefined, path: string): Yaml | undefined {
  return path.split(".").reduce<Yaml | undefined>((inner, key) => (inner as { [key: string]: Yaml })?.[key], value);
}

test("the StatefulSet starts all at once, finds its members before they are ready, and keeps their volumes", () => {
  const text = readFileSync(join(ROOT, "examples/kubernetes/orders.yaml"), "utf8");
  const [service, set] = text.split("\n---\n").map(parseYaml);
  equal(at(service, "kind"), "Service");
  equal(at(service, "spec.clusterIP"), "None");
  equal(at(service, "spec.publishNotReadyAddresses"), "true");
  equal(at(set, "kind"), "StatefulSet");
  equal(at(set, "spec.podManagementPolicy"), "Parallel");
  const name = at(service, "metadata.name") as string;
  equal(at(set, "spec.serviceName"), name);
  deepEqual(at(set, "spec.selector.matchLabels"), at(set, "spec.template.metadata.labels"));
  deepEqual(at(service, "spec.selector"), at(set, "spec.template.metadata.labels"));

  const container = "spec.template.spec.containers.0";
  const variables = at(set, `${container}.env`) as { name: string; value: string }[];
  const env = Object.fromEntries(variables.map((variable) => [variable.name, variable.value]));
  const port = at(service, "spec.ports.0.port");
  equal(at(set, `${container}.ports.0.containerPort`), port);
  equal(env["MOSAIK_EXPECT"], at(set, "spec.replicas"));
  const pods = Array.from({ length: Number(at(set, "spec.replicas")) }, (_, i) => `${name}-${i}.${name}:${port}`);
  equal(env["MOSAIK_BOOTSTRAP"], pods.join(","));
  equal(at(set, `${container}.volumeMounts.0.mountPath`), env["MOSAIK_DATA_DIR"]);
  equal(at(set, `${container}.volumeMounts.0.name`), at(set, "spec.volumeClaimTemplates.0.metadata.name"));
});

test("the systemd unit keeps its state where it says, and stops in order", () => {
  const sections = new Map<string, Map<string, string[]>>();
  let section: Map<string, string[]> | undefined;
  for (const line of readFileSync(join(ROOT, "examples/systemd/orders.service"), "utf8").split("\n")) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const name = /^\[(\w+)\]$/.exec(line)?.[1];
    if (name !== undefined) {
      section = new Map();
      sections.set(name, section);
      continue;
    }
    const [, key, value] = /^(\w+)=(.+)$/.exec(line) ?? [];
    ok(key !== undefined && value !== undefined && section !== undefined, `a setting: ${line}`);
    section.set(key, [...(section.get(key) ?? []), value]);
  }
  deepEqual([...sections.keys()], ["Unit", "Service", "Install"]);
  const service = sections.get("Service");
  const directory = service?.get("StateDirectory")?.[0];
  ok(service?.get("Environment")?.includes(`MOSAIK_DATA_DIR=/var/lib/${directory}`));
  equal(service?.get("StateDirectoryMode")?.[0], "0700");
  equal(service?.get("KillSignal")?.[0], "SIGTERM");
  equal(service?.get("Restart")?.[0], "always");
});

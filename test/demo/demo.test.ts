import { deepEqual, equal, ok } from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { isGood, judge } from "../../demo/verdict.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** The exit code, and the last line of standard output. */
async function demo(...options: string[]): Promise<{ code: number; last: Record<string, unknown> }> {
  const child = spawn(process.execPath, ["--import", "tsx", "demo/main.ts", "--json", ...options], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  const [code] = (await once(child, "close")) as [number];
  const lines = output.trim().split("\n");
  for (const line of lines) JSON.parse(line);
  return { code, last: JSON.parse(lines.at(-1) ?? "{}") as Record<string, unknown> };
}

describe("what the demo concludes", () => {
  const clients = [
    { name: "ada", upTo: 3, acknowledged: new Set([1, 2]) },
    { name: "bob", upTo: 1, acknowledged: new Set([1]) },
  ];
  const good = { "ada-1": 1, "ada-2": 1, "bob-1": 1 };

  it("all is well if each acknowledged id counts once on all members, and an unknown one at most once", () => {
    equal(isGood(judge(clients, [good, { ...good }])), true);
    const verdict = judge(clients, [
      { ...good, "ada-3": 1 },
      { ...good, "ada-3": 1 },
    ]);
    equal(isGood(verdict), true);
    equal(verdict.unknownApplied, 1);
  });

  it("it is not if one is lost, doubled, foreign or on some members only", () => {
    const bad: readonly (readonly Readonly<Record<string, number>>[])[] = [
      [good, { "ada-1": 1, "ada-2": 1 }],
      [
        { ...good, "ada-1": 2 },
        { ...good, "ada-1": 2 },
      ],
      [
        { ...good, "ada-3": 2 },
        { ...good, "ada-3": 2 },
      ],
      [
        { ...good, "eve-1": 1 },
        { ...good, "eve-1": 1 },
      ],
      [good, { ...good, "ada-3": 1 }],
      [{}, {}],
    ];
    for (const members of bad) equal(isGood(judge(clients, members)), false);
  });
});

describe("the demo, with real processes", () => {
  it("kills its leader, takes in another, and loses nothing", async () => {
    const { code, last } = await demo();
    equal(code, 0);
    const fields = [
      "acknowledged",
      "lost",
      "duplicated",
      "unknownApplied",
      "formationMs",
      "failoverMs",
      "replacementMs",
    ];
    deepEqual(Object.keys(last), fields);
    deepEqual([last["lost"], last["duplicated"]], [0, 0]);
    ok(Number(last["acknowledged"]) >= 4_000);
  });

  it("would see it if one acknowledged command were gone", async () => {
    const { code, last } = await demo("--delete-one");
    deepEqual([code, last["lost"]], [1, 1]);
  });

  it("ends when it is told to, by Ctrl-C", async () => {
    const child = spawn(process.execPath, ["--import", "tsx", "demo/main.ts"], {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const closed = once(child, "close");
    await once(child.stdout, "data");
    child.kill("SIGINT");
    deepEqual(await closed, [130, null]);
  });

  it("names a wrong option, and exits with 2", async () => {
    const child = spawn(process.execPath, ["--import", "tsx", "demo/main.ts", "--fast"], {
      cwd: ROOT,
      stdio: "ignore",
    });
    deepEqual(await once(child, "close"), [2, null]);
  });
});

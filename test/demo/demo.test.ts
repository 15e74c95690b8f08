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
  const nodes = [
    { node: 0, upTo: 3, acknowledged: new Set([1, 2]) },
    { node: 1, upTo: 1, acknowledged: new Set([1]) },
  ];
  const good = { "0-1": 1, "0-2": 1, "1-1": 1 };

  it("all is well if each acknowledged id counts once on all members, and an unknown one at most once", () => {
    equal(isGood(judge(nodes, [good, { ...good }])), true);
    const verdict = judge(nodes, [
      { ...good, "0-3": 1 },
      { ...good, "0-3": 1 },
    ]);
    equal(isGood(verdict), true);
    equal(verdict.unknownApplied, 1);
  });

  it("it is not if one is lost, doubled, foreign or on some members only", () => {
    const bad: readonly (readonly Readonly<Record<string, number>>[])[] = [
      [good, { "0-1": 1, "0-2": 1 }],
      [
        { ...good, "0-1": 2 },
        { ...good, "0-1": 2 },
      ],
      [
        { ...good, "0-3": 2 },
        { ...good, "0-3": 2 },
      ],
      [
        { ...good, "9-1": 1 },
        { ...good, "9-1": 1 },
      ],
      [good, { ...good, "0-3": 1 }],
      [{}, {}],
    ];
    for (const members of bad) equal(isGood(judge(nodes, members)), false);
  });
});

describe("the demo, with real processes", () => {
  it("kills its leader, and loses nothing", async () => {
    const { code, last } = await demo();
    equal(code, 0);
    deepEqual(Object.keys(last), ["acknowledged", "lost", "duplicated", "unknownApplied", "formationMs", "failoverMs"]);
    deepEqual([last["lost"], last["duplicated"]], [0, 0]);
    ok(Number(last["acknowledged"]) >= 4_000);
  });

  it("would see it if one acknowledged command were gone", async () => {
    const { code, last } = await demo("--delete-one");
    deepEqual([code, last["lost"]], [1, 1]);
  });

  it("names a wrong option, and exits with 2", async () => {
    const child = spawn(process.execPath, ["--import", "tsx", "demo/main.ts", "--fast"], {
      cwd: ROOT,
      stdio: "ignore",
    });
    deepEqual(await once(child, "close"), [2, null]);
  });
});

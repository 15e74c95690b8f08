import { deepEqual, equal } from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { LIMITS } from "../../env/index.ts";
import { decideVersion, isFit, type Support } from "./versions.ts";

const support = (version: number, commands: readonly string[], format = 1): Support => ({ format, version, commands });

describe("what a group agrees on", () => {
  it("is what all voters and spares have", () => {
    const rows: readonly [string, Support | undefined, (Support | undefined)[], Support | undefined][] = [
      ["first", undefined, [support(1, ["add"]), support(2, ["add", "mul"])], support(1, ["add"])],
      ["nothing new", support(1, ["add"]), [support(1, ["add"]), support(2, ["add", "mul"])], undefined],
      ["one did not say yet", support(1, ["add"]), [support(2, ["add", "mul"]), undefined], undefined],
      ["nobody", undefined, [], undefined],
      [
        "all upgraded",
        support(1, ["add"]),
        [support(2, ["add", "mul"]), support(3, ["add", "mul"])],
        support(2, ["add", "mul"]),
      ],
      [
        "a command without a version",
        support(1, ["a"]),
        [support(1, ["a", "b"]), support(1, ["a", "b", "c"])],
        support(1, ["a", "b"]),
      ],
      ["one went back", support(2, ["add", "mul"]), [support(1, ["add"]), support(2, ["add", "mul"])], undefined],
      ["one lost a command", support(1, ["a", "b"]), [support(1, ["a"]), support(1, ["a", "b"])], undefined],
      [
        "a new version dropped one",
        support(1, ["a", "old"]),
        [support(2, ["a"]), support(2, ["a"])],
        support(2, ["a"]),
      ],
      ["another format", support(1, ["a"]), [support(1, ["a"], 2), support(1, ["a"], 3)], support(1, ["a"], 2)],
    ];
    for (const [name, agreed, members, expected] of rows) deepEqual(decideVersion(agreed, members), expected, name);
  });

  it("never goes back, whoever comes and goes", () => {
    const member = fc
      .tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 }), fc.subarray(["a", "b", "c"]))
      .map(([format, version, commands]) => support(version, commands, format));
    fc.assert(
      fc.property(fc.array(fc.array(member, { minLength: 1, maxLength: 4 }), { minLength: 1 }), (steps) => {
        let agreed: Support | undefined;
        for (const members of steps) {
          const next = decideVersion(agreed, members);
          if (next === undefined) continue;
          if (agreed !== undefined) {
            equal(next.version >= agreed.version && next.format >= agreed.format, true);
            if (next.version === agreed.version)
              equal(
                agreed.commands.every((name) => next.commands.includes(name)),
                true,
              );
          }
          agreed = next;
          equal(decideVersion(agreed, members), undefined, "settled");
          const isNew = members.every(({ version, format }) => version >= (next.version ?? 0) && format >= next.format);
          if (isNew && members.every((one) => one.version > next.version))
            equal(
              members.every((one) => isFit(one, next)),
              true,
            );
        }
      }),
    );
  });

  it("names no more commands than an entry holds", () => {
    const names = (prefix: string) =>
      Array.from({ length: LIMITS.machineHandlersMax }, (_, i) => `${prefix}${String(i).padStart(3, "0")}`);
    equal(decideVersion(support(1, names("a")), [support(1, names("b"))]), undefined);
  });

  it("fits whoever can apply all of it", () => {
    const agreed = support(2, ["a", "b"], 2);
    deepEqual(
      [
        support(2, ["a", "b"], 2),
        support(2, ["a", "b", "c"], 3),
        support(3, ["a"], 2),
        support(2, ["a"], 2),
        support(1, ["a", "b"], 2),
        support(2, ["a", "b"], 1),
      ].map((member) => isFit(member, agreed)),
      [true, true, true, false, false, false],
    );
  });
});

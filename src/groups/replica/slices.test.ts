import { equal } from "node:assert/strict";
import { describe, it } from "node:test";
import { workSlice } from "./slices.ts";

/** Steps of the first slice, if each takes so long and there are many. */
function stepsOf(stepUs: number, stepsMax = 100_000): { steps: number; isDone: boolean } {
  let nowUs = 0;
  let steps = 0;
  const clock = { monotonicUs: () => nowUs, wallMs: () => 0 };
  const isDone = workSlice({ clock }, () => {
    nowUs += stepUs;
    return ++steps === stepsMax;
  });
  return { steps, isDone };
}

describe("a slice of work on a snapshot", () => {
  it("ends after one millisecond and a half, and at the latest with the step that is under way then", () => {
    equal(stepsOf(500).steps, 3);
    equal(stepsOf(1_400).steps, 2);
    equal(stepsOf(50_000).steps, 1);
  });

  it("ends after so many steps, however short", () => {
    equal(stepsOf(0).steps, 256);
  });

  it("ends with the work", () => {
    const { steps, isDone } = stepsOf(10, 7);
    equal(steps, 7);
    equal(isDone, true);
    equal(stepsOf(10).isDone, false);
  });
});

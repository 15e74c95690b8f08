import { deepEqual, equal, rejects } from "node:assert/strict";
import { getEventListeners } from "node:events";
import { describe, it } from "node:test";
import { ConditionWaits } from "./condition-waits.ts";
import { mosaikError } from "./index.ts";

describe("conditions", () => {
  it("one that holds resolves without a change", async () => {
    equal(await new ConditionWaits("the group").until(() => 7), 7);
  });

  it("one that does not is tried at every change, until it holds", async () => {
    const conditions = new ConditionWaits("the group");
    let value = 0;
    let probes = 0;
    const met = conditions.until(() => {
      probes++;
      return value >= 2 ? value : undefined;
    });
    for (value = 1; value <= 3; value++) conditions.notify();
    equal(await met, 2);
    equal(probes, 3, "at first and after two changes; no more once it is settled");
  });

  it("false, 0 and the empty text are values", async () => {
    const conditions = new ConditionWaits("the group");
    deepEqual(
      [await conditions.until(() => false), await conditions.until(() => 0), await conditions.until(() => "")],
      [false, 0, ""],
    );
  });

  it("an abort ends the wait with its reason, before or after", async () => {
    const conditions = new ConditionWaits("the group");
    const reason = new Error("enough");
    const controller = new AbortController();
    let probes = 0;
    const wait = conditions.until(() => {
      probes++;
      return undefined;
    }, controller.signal);
    controller.abort(reason);
    await rejects(wait, reason);
    conditions.notify();
    equal(probes, 1);
    await rejects(
      conditions.until(() => 1, controller.signal),
      reason,
      "an abort that came first counts, whatever the condition",
    );
  });

  it("a close ends all waits, now and later, and conditions that hold still hold", async () => {
    const conditions = new ConditionWaits("the group");
    const before = conditions.until(() => undefined);
    conditions.close();
    await rejects(before, { code: "closed" });
    await rejects(
      conditions.until(() => undefined),
      { code: "closed" },
    );
    equal(await conditions.until(() => 1), 1);
  });

  it("the first cause of a close counts", async () => {
    const conditions = new ConditionWaits("the group");
    const cause = mosaikError("storage-failed", "the disk is gone");
    conditions.close(cause);
    conditions.close();
    await rejects(
      conditions.until(() => undefined),
      cause,
    );
  });

  it("no listener stays on a signal that outlives the wait", async () => {
    const conditions = new ConditionWaits("the group");
    const { signal } = new AbortController();
    await conditions.until(() => 1, signal);
    let isMet = false;
    const wait = conditions.until(() => (isMet ? true : undefined), signal);
    equal(getEventListeners(signal, "abort").length, 1);
    isMet = true;
    conditions.notify();
    await wait;
    equal(getEventListeners(signal, "abort").length, 0);
  });
});

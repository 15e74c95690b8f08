import { deepEqual, equal } from "node:assert/strict";
import { getEventListeners } from "node:events";
import { describe, it } from "node:test";
import { whenAborted } from "./abort.ts";

const listeners = (signal: AbortSignal): number => getEventListeners(signal, "abort").length;

describe("whenAborted", () => {
  it("tells all, once, in order, with the reason", () => {
    const controller = new AbortController();
    const told: string[] = [];
    for (const who of ["one", "two", "three"]) {
      whenAborted(controller.signal, (reason) => told.push(`${who} ${reason}`));
    }
    controller.abort("enough");
    controller.abort("again");
    deepEqual(told, ["one enough", "two enough", "three enough"]);
  });

  it("does not tell those that have ended, be it by another one that is told", () => {
    const controller = new AbortController();
    const told: string[] = [];
    const ends = [1, 2, 3, 4].map((number) =>
      whenAborted(controller.signal, () => {
        told.push(`${number}`);
        ends[2]?.();
      }),
    );
    ends[1]?.();
    ends[1]?.();
    controller.abort();
    deepEqual(told, ["1", "4"]);
  });

  it("tells the others though one throws, which is a bug and not hidden", async () => {
    const controller = new AbortController();
    const bug = new Error("a bug");
    const told: string[] = [];
    whenAborted(controller.signal, () => {
      throw bug;
    });
    whenAborted(controller.signal, () => told.push("other"));
    const uncaught = new Promise((resolve) => process.setUncaughtExceptionCaptureCallback(resolve));
    try {
      controller.abort();
      deepEqual(told, ["other"]);
      equal(await uncaught, bug);
    } finally {
      process.setUncaughtExceptionCaptureCallback(null);
    }
  });

  it("takes a callback that is given twice for two", () => {
    const controller = new AbortController();
    let count = 0;
    const callback = (): void => void count++;
    const end = whenAborted(controller.signal, callback);
    whenAborted(controller.signal, callback);
    end();
    controller.abort();
    equal(count, 1);
  });

  it("has one listener of a signal, while there is somebody to tell", () => {
    const { signal } = new AbortController();
    for (let round = 0; round < 2; round++) {
      equal(listeners(signal), 0);
      const ends = Array.from({ length: 100 }, () => whenAborted(signal, () => {}));
      equal(listeners(signal), 1);
      for (const end of ends) end();
    }
    equal(listeners(signal), 0);
    whenAborted(undefined, () => {})();
  });

  it("tells nobody who comes after the abort, be it while others are told", () => {
    const controller = new AbortController();
    let isTold = false;
    whenAborted(controller.signal, () => {
      whenAborted(controller.signal, () => {
        isTold = true;
      });
    });
    controller.abort();
    equal(isTold, false);
    whenAborted(controller.signal, () => {
      isTold = true;
    })();
    equal(isTold, false);
  });
});

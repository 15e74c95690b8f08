import { deepEqual, equal, throws } from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { AssertionError, assert, badOption, LIMITS, MosaikError, mosaikError } from "./index.ts";

describe("errors of the registry", () => {
  const payload = "what the caller sent";
  const error = mosaikError("group-offline", "no leader", {
    outcome: "not-applied",
    details: { state: "offline" },
    hidden: { rejected: [payload] },
    cause: new Error("the link broke"),
  });

  it("carry code, outcome, details and cause", () => {
    deepEqual([error.code, error.outcome, error.details.state], ["group-offline", "not-applied", "offline"]);
    deepEqual(error.details.rejected, [payload]);
    equal((error.cause as Error).message, "the link broke");
    equal(error.message, "no leader (group-offline)");
    equal(badOption("expect", "is missing").details.option, "expect");
  });

  it("print no payload", () => {
    for (const print of [inspect(error, { depth: 9 }), JSON.stringify(error), `${error}`, error.stack ?? ""]) {
      equal(print.includes(payload), false);
    }
  });

  it("say where they were made, but for `overloaded`, which must cost little", () => {
    const limit = Error.stackTraceLimit;
    equal(/\n +at /.test(error.stack ?? ""), true);
    const overloaded = mosaikError("overloaded", "too much", { hidden: { rejected: [payload] } });
    equal(overloaded.stack, "MosaikError: too much (overloaded)");
    deepEqual(overloaded.details.rejected, [payload]);
    equal(Error.stackTraceLimit, limit);
  });

  it("are told from others, by code, and across copies of the package", async () => {
    equal(MosaikError.is(error), true);
    equal(MosaikError.is(error, "closed", "group-offline"), true);
    equal(MosaikError.is(error, "closed"), false);
    for (const other of [new Error("x"), { code: "group-offline" }, null, undefined, "closed"])
      equal(MosaikError.is(other), false);
    const copy: typeof import("./errors.ts") = await import(`./errors.ts?${"another copy"}`);
    const foreign = copy.mosaikError("closed", "over");
    equal(foreign instanceof MosaikError, false);
    equal(MosaikError.is(foreign, "closed"), true);
  });
});

describe("assertions and limits", () => {
  it("a broken invariant throws, in production too", () => {
    assert(true, "holds");
    throws(
      () => assert(false, "two leaders"),
      (thrown) => thrown instanceof AssertionError && /two leaders/.test(thrown.message),
    );
  });

  it("every limit is a positive safe integer", () => {
    for (const [name, value] of Object.entries(LIMITS)) equal(Number.isSafeInteger(value) && value > 0, true, name);
  });
});

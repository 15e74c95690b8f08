import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import { MosaikError } from "../env/index.ts";
import { parse, type Schema, validate } from "./schema.ts";

const Price = z.object({ cents: z.number().int(), currency: z.string().default("EUR") });

describe("validate", () => {
  it("gives what the schema puts out", () => {
    deepEqual(validate(Price, { cents: 5, more: 1 }), { ok: true, value: { cents: 5, currency: "EUR" } });
  });

  it("gives the issues of what does not fit", () => {
    const result = validate(Price, { cents: 5.5 });
    ok(!result.ok);
    deepEqual(result.issues[0]?.path, ["cents"]);
  });

  it("refuses a schema that would have to be awaited, and swallows its rejection", () => {
    const answer = Promise.reject(new Error("not now"));
    const slow = { "~standard": { version: 1, vendor: "test", validate: () => answer } } as unknown as Schema<string>;
    throws(
      () => validate(slow, "x"),
      (error) => MosaikError.is(error, "bad-option") && error.details.option === "schema",
    );
    throws(
      () =>
        validate(
          z.string().refine(async () => true),
          "x",
        ),
      (error) => MosaikError.is(error, "bad-option"),
    );
  });

  it("takes a promise of another kind for a promise", () => {
    // biome-ignore lint/suspicious/noThenProperty: that is the case
    const answer = { then: (resolve: (result: object) => void) => resolve({ value: 1 }) };
    const foreign = {
      "~standard": { version: 1, vendor: "test", validate: () => answer },
    } as unknown as Schema<number>;
    throws(
      () => validate(foreign, "x"),
      (error) => MosaikError.is(error, "bad-option"),
    );
  });
});

describe("parse", () => {
  it("gives the output, or throws with the issues and the caller's value, which no log prints", () => {
    equal(parse(Price, { cents: 1 }, "a price").currency, "EUR");
    const value = { cents: "secret" };
    throws(
      () => parse(Price, value, "a price"),
      (error) => {
        ok(MosaikError.is(error, "schema-rejected"));
        equal(error.outcome, "not-applied");
        equal(error.details.rejected[0], value);
        equal(error.details.issues.length, 1);
        ok(error.message.startsWith("a price does not fit its schema"));
        ok(!JSON.stringify(error).includes("secret") && !JSON.stringify(error.details).includes("secret"));
        return true;
      },
    );
  });
});

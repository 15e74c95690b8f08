import { deepEqual, rejects } from "node:assert/strict";
import { describe, it } from "node:test";
import { Sends } from "./sends.ts";

describe("sends that wait", () => {
  it("an abort that came before ends one at once, and its value is not offered", async () => {
    const sends = new Sends<string>();
    const reason = new Error("enough");
    const refused = rejects(sends.wait("ghost", AbortSignal.abort(reason)), reason);
    const taken = sends.wait("real", undefined);
    const offered: string[] = [];
    sends.serve((value) => offered.push(value) > 0);
    deepEqual(offered, ["real"]);
    await Promise.all([refused, taken]);
  });
});

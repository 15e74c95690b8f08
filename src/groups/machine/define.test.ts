import { deepEqual, equal, match, ok, throws } from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import { LIMITS, MosaikError } from "../../env/index.ts";
import { UniqueId } from "../../identity/index.ts";
import { DecodeError, messagePack } from "../../wire/index.ts";
import { decodeCommand, encodeCommand } from "../testing.ts";
import {
  type AnyMachine,
  type ApplyContext,
  type CommandOutcome,
  command,
  defineMachine,
  defineStateMachine,
  isRejection,
  type MachineInstance,
  noMachine,
  Rejection,
  runtimeOf,
} from "./index.ts";

const context: ApplyContext = {
  position: 1,
  index: 4,
  term: 2,
  timeMs: 1_000,
  version: 1,
  groupId: UniqueId.from("group"),
  networkId: UniqueId.from("network"),
  random: () => 0.5,
};

const Stock = defineMachine("stock", {
  version: 3,
  state: () => ({ items: new Map<string, number>() }),
  commands: {
    put: (stock, item: { name: string; count: number }) => {
      stock.items.set(item.name, item.count);
      return item;
    },
    take: (stock, name: string) => {
      const count = stock.items.get(name) ?? 0;
      if (count === 0) throw new Rejection("none-left", { name });
      stock.items.set(name, count - 1);
      return count - 1;
    },
    clear: (stock) => stock.items.clear(),
    draw: (_stock, _input: undefined, { random, position }) => random() + position,
    order: command(
      z.object({ name: z.string(), count: z.coerce.number().default(1) }),
      (stock, { name, count }) => stock.items.set(name, count).size,
    ),
    break: () => {
      throw new RangeError("a bug");
    },
  },
  queries: {
    count: (stock, name: string) => stock.items.get(name) ?? 0,
    size: (stock) => stock.items.size,
  },
  *snapshot(stock) {
    yield* stock.items;
  },
  restore: (chunks) => ({ items: new Map(chunks) }),
});

/** As a group does it: encodes, decodes, applies. */
function send(machine: AnyMachine, instance: MachineInstance, value: unknown): CommandOutcome {
  const runtime = runtimeOf(machine);
  return instance.apply(decodeCommand(runtime, encodeCommand(runtime, value)), context);
}

function codeOf(code: string, option?: string) {
  return (error: unknown): boolean => {
    ok(MosaikError.is(error), `${error}`);
    equal(error.code, code);
    if (option !== undefined) equal(MosaikError.is(error, "bad-option") && error.details.option, option);
    return true;
  };
}

describe("a machine's runtime", () => {
  test("tells what members compare", () => {
    const runtime = runtimeOf(Stock);
    equal(runtime.name, "stock");
    equal(runtime.version, 3);
    equal(runtime.codecName, messagePack.name);
    deepEqual(runtime.commandNames, ["break", "clear", "draw", "order", "put", "take"]);
  });

  test("applies commands with and without input, and answers queries", () => {
    const stock = runtimeOf(Stock).create();
    deepEqual(send(Stock, stock, { put: { name: "pen", count: 2 } }), {
      type: "applied",
      result: { name: "pen", count: 2 },
    });
    deepEqual(send(Stock, stock, { take: "pen" }), { type: "applied", result: 1 });
    equal(stock.query({ count: "pen" }), 1);
    equal(stock.query("size"), 1);
    deepEqual(send(Stock, stock, "clear"), { type: "applied", result: undefined });
    equal(stock.query("size"), 0);
    deepEqual(send(Stock, stock, { draw: undefined }), { type: "applied", result: 1.5 });
  });

  test("each instance has a state of its own", () => {
    const one = runtimeOf(Stock).create();
    const other = runtimeOf(Stock).create();
    send(Stock, one, { put: { name: "pen", count: 2 } });
    deepEqual([one.query("size"), other.query("size")], [1, 0]);
  });

  test("applies decoded bytes, never the caller's object", () => {
    const stock = runtimeOf(Stock).create();
    const mine = { name: "pen", count: 2 };
    const outcome = send(Stock, stock, { put: mine });
    ok(outcome.type === "applied");
    deepEqual(outcome.result, mine);
    ok(outcome.result !== mine);
  });

  test("a field that is undefined does not count beside one that is not", () => {
    const stock = runtimeOf(Stock).create();
    deepEqual(send(Stock, stock, { take: undefined, put: { name: "pen", count: 1 } }).type, "applied");
  });

  test("a schema checks and changes the input before it is encoded", () => {
    const stock = runtimeOf(Stock).create();
    deepEqual(send(Stock, stock, { order: { name: "ink", count: "7" } }), { type: "applied", result: 1 });
    deepEqual(send(Stock, stock, { order: { name: "cap" } }), { type: "applied", result: 2 });
    deepEqual([stock.query({ count: "ink" }), stock.query({ count: "cap" })], [7, 1]);
  });

  test("what the schema refuses comes back, unseen by logs", () => {
    const value = { order: { name: 5, secret: "hush" } };
    throws(
      () => encodeCommand(runtimeOf(Stock), value),
      (error) => {
        ok(MosaikError.is(error, "schema-rejected"));
        equal(error.outcome, "not-applied");
        deepEqual(error.details.rejected, [value]);
        deepEqual(error.details.issues[0]?.path, ["name"]);
        ok(!JSON.stringify(error.details).includes("hush"));
        return true;
      },
    );
  });

  test("what cannot be encoded comes back", () => {
    const value = { put: () => {} };
    throws(
      () => encodeCommand(runtimeOf(Stock), value),
      (error) => {
        ok(MosaikError.is(error, "not-encodable"));
        equal(error.outcome, "not-applied");
        equal(error.details.rejected[0], value);
        match(error.message, /`put` of `stock`/);
        return true;
      },
    );
  });

  test("a command may have the limit's bytes and no more", () => {
    const runtime = runtimeOf(Stock);
    const overhead = encodeCommand(runtime, { take: "x".repeat(100_000) }).length - 100_000;
    const largest = "x".repeat(LIMITS.commandBytesMax - overhead);
    equal(encodeCommand(runtime, { take: largest }).length, LIMITS.commandBytesMax);
    throws(
      () => encodeCommand(runtime, { take: `${largest}x` }),
      (error) => {
        ok(MosaikError.is(error, "too-large"));
        equal(error.details.bytesMax, LIMITS.commandBytesMax);
        equal(error.details.rejected.length, 1);
        ok(error.message.length < 200);
        return true;
      },
    );
  });

  for (const value of [
    "unknown",
    { unknown: 1 },
    {},
    { put: 1, take: 2 },
    7,
    null,
    undefined,
    "toString",
    { __proto__: null },
  ]) {
    test(`refuses ${JSON.stringify(value)} as a command, and as a query`, () => {
      throws(() => encodeCommand(runtimeOf(Stock), value), codeOf("bad-option", "command"));
      throws(() => runtimeOf(Stock).create().query(value), codeOf("bad-option", "query"));
    });
  }

  for (const value of [
    null,
    5,
    "put",
    [],
    ["put", 1, 2],
    ["unknown"],
    [5],
    { 0: "put" },
    ["__proto__"],
    ["constructor"],
  ]) {
    test(`refuses ${JSON.stringify(value)} from a peer`, () => {
      throws(() => decodeCommand(runtimeOf(Stock), messagePack.encode(value)), DecodeError);
    });
  }
  test("refuses garbage from a peer", () => {
    throws(() => decodeCommand(runtimeOf(Stock), new Uint8Array([0xc1, 0xff])), DecodeError);
    throws(() => decodeCommand(runtimeOf(Stock), new Uint8Array()), DecodeError);
  });

  test("a Rejection is an outcome, any other throw is not", () => {
    const stock = runtimeOf(Stock).create();
    const outcome = send(Stock, stock, { take: "pen" });
    ok(outcome.type === "rejected");
    deepEqual([outcome.rejection.reason, outcome.rejection.data], ["none-left", { name: "pen" }]);
    throws(() => send(Stock, stock, "break"), RangeError);
  });

  test("a Rejection of another copy of the package counts", () => {
    const brand = Symbol.for("mosaik.rejection");
    const machine = defineMachine("foreign", {
      state: () => ({}),
      commands: {
        refuse: () => {
          throw Object.assign(new Error("foreign"), { reason: "foreign", data: undefined, [brand]: true });
        },
      },
    });
    const outcome = send(machine, runtimeOf(machine).create(), "refuse");
    ok(outcome.type === "rejected");
    equal(outcome.rejection.reason, "foreign");
    ok(!isRejection(new Error("plain")) && !isRejection(null));
  });

  test("a promise is refused, from commands and from queries, and never goes unhandled", () => {
    const late = (): never => Promise.reject(new Error("late")) as never;
    const machine = defineMachine("late", { state: () => ({}), commands: { late }, queries: { late } });
    const instance = runtimeOf(machine).create();
    throws(() => send(machine, instance, "late"), codeOf("bad-option", "commands.late"));
    throws(() => instance.query("late"), codeOf("bad-option", "query"));
  });

  test("a snapshot makes an equal copy", () => {
    const one = runtimeOf(Stock).create();
    send(Stock, one, { put: { name: "pen", count: 2 } });
    const other = runtimeOf(Stock).create();
    other.restore?.(structuredClone([...(one.snapshot?.() ?? [])]), 3);
    equal(other.query({ count: "pen" }), 2);
  });

  test("plain states need no snapshot function, and `false` means none", () => {
    const parts = { state: () => ({ sum: 0 }), commands: { add: (s: { sum: number }, n: number) => (s.sum += n) } };
    const Plain = defineMachine("plain", { ...parts, queries: { sum: (s) => s.sum } });
    const one = runtimeOf(Plain).create();
    send(Plain, one, { add: 5 });
    const other = runtimeOf(Plain).create();
    other.restore?.(structuredClone([...(one.snapshot?.() ?? [])]), 1);
    equal(other.query("sum"), 5);
    equal(runtimeOf(defineMachine("kept", { ...parts, snapshot: false })).create().snapshot, undefined);
  });
});

describe("a definition", () => {
  const good = { state: () => ({}), commands: { go: () => 1 } };
  // As a JavaScript caller might write it, past the compiler.
  const define = defineMachine as unknown as (name: unknown, machine: unknown) => AnyMachine;
  const rows: readonly [string, unknown, unknown, string][] = [
    ["an empty name", "", good, "name"],
    ["a name that is no text", 5, good, "name"],
    ["a long name", "x".repeat(LIMITS.nameBytesMax + 1), good, "name"],
    ["half a character as name", "\ud800", good, "name"],
    ["no machine", "m", undefined, "machine"],
    ["no commands", "m", { state: () => ({}) }, "commands"],
    ["a list of commands with no function", "m", { ...good, commands: [1] }, "commands.0"],
    ["a command that is no function", "m", { ...good, commands: { go: 1 } }, "commands.go"],
    ["a command without a name", "m", { ...good, commands: { "": () => 1 } }, 'commands[""]'],
    ["a long command name", "m", { ...good, commands: { ["x".repeat(200)]: () => 1 } }, `commands.${"x".repeat(80)}`],
    ["an async command", "m", { ...good, commands: { go: async () => 1 } }, "commands.go"],
    ["a generator as command", "m", { ...good, commands: { *go() {} } }, "commands.go"],
    ["an async query", "m", { ...good, queries: { ask: async () => 1 } }, "queries.ask"],
    ["no state", "m", { commands: {} }, "state"],
    ["an async state", "m", { ...good, state: async () => ({}) }, "state"],
    ["version 0", "m", { ...good, version: 0 }, "version"],
    ["version 1.5", "m", { ...good, version: 1.5 }, "version"],
    ["a version as text", "m", { ...good, version: "1" }, "version"],
    ["a misspelt field", "m", { ...good, querys: {} }, "querys"],
    ["a snapshot that is no function", "m", { ...good, snapshot: true }, "snapshot"],
    ["a snapshot alone", "m", { ...good, snapshot: () => [] }, "restore"],
    ["a restore alone", "m", { ...good, restore: () => ({}) }, "restore"],
  ];
  for (const [what, name, machine, option] of rows) {
    test(`refuses ${what}`, () => throws(() => define(name, machine), codeOf("bad-option", option)));
  }
  test("refuses more commands than a machine may have", () => {
    const commands = Object.fromEntries(
      Array.from({ length: LIMITS.machineHandlersMax + 1 }, (_, i) => [`c${i}`, () => i]),
    );
    throws(() => define("m", { ...good, commands }), codeOf("bad-option", "commands"));
  });
  test("refuses a state that is no object, when the first is made", () => {
    throws(() => runtimeOf(define("m", { ...good, state: () => 5 })).create(), codeOf("bad-option", "state"));
  });
  test("refuses a schema that is none", () => {
    throws(() => command({} as never, () => 1), codeOf("bad-option", "schema"));
  });
  test("is frozen, and only a definition will do", () => {
    ok(Object.isFrozen(define("m", good)));
    throws(
      () => runtimeOf({ name: "m", commands: {}, queries: {}, state: () => ({}) }),
      codeOf("bad-option", "machine"),
    );
  });
});

describe("no machine", () => {
  test("takes no command", () => {
    deepEqual(runtimeOf(noMachine).commandNames, []);
    throws(() => encodeCommand(runtimeOf(noMachine), "anything"), codeOf("bad-option", "command"));
    throws(() => runtimeOf(noMachine).create().query("anything"), codeOf("bad-option", "query"));
  });
});

describe("the object form", () => {
  const bytes = {
    name: "one-byte",
    encode: (value: number) => {
      if (!Number.isInteger(value)) throw new TypeError("not a byte");
      return new Uint8Array([value]);
    },
    decode: (data: Uint8Array) => data[0] ?? 0,
  };
  function makeSum() {
    let sum = 0;
    return {
      apply(value: number): number {
        if (value === 13) throw new Rejection("unlucky");
        return (sum += value);
      },
      applyBatch: (values: readonly number[]) =>
        values.map((value) => (value === 13 ? new Rejection("unlucky") : (sum += value))),
      query: (_question: "sum") => sum,
      snapshot: () => [sum],
      restore: (chunks: Iterable<unknown>) => {
        sum = [...chunks][0] as number;
      },
    };
  }
  const Sum = defineStateMachine("sum", { create: makeSum, codec: bytes, version: 2 });

  test("uses its own codec and one name for all", () => {
    const runtime = runtimeOf(Sum);
    deepEqual([runtime.codecName, runtime.version, runtime.commandNames], ["one-byte", 2, []]);
    deepEqual(encodeCommand(runtime, 7), new Uint8Array([7]));
    equal(decodeCommand(runtime, new Uint8Array([7])).name, "apply");
    throws(() => encodeCommand(runtime, 1.5), codeOf("not-encodable"));
  });
  test("applies, one by one and in batches", () => {
    const sum = runtimeOf(Sum).create();
    deepEqual(send(Sum, sum, 5), { type: "applied", result: 5 });
    equal(send(Sum, sum, 13).type, "rejected");
    const commands = [1, 13, 2].map((value) => ({ name: "apply", input: value, value }));
    const outcomes = sum.applyBatch?.(commands, [context, context, context]) ?? [];
    deepEqual(
      outcomes.map((outcome) => (outcome.type === "applied" ? outcome.result : outcome.rejection.reason)),
      [6, "unlucky", 8],
    );
    equal(sum.query("sum"), 8);
  });
  test("a batch with too few results is a bug of the machine", () => {
    const Short = defineStateMachine("short", {
      create: () => ({ apply: (_value: number) => 0, applyBatch: () => [], query: () => 0 }),
    });
    throws(
      () =>
        runtimeOf(Short)
          .create()
          .applyBatch?.([{ name: "apply", input: 1, value: 1 }], [context]),
      TypeError,
    );
  });
  test("restores a snapshot", () => {
    const sum = runtimeOf(Sum).create();
    sum.restore?.([42], 1);
    equal(sum.query("sum"), 42);
    deepEqual([...(sum.snapshot?.() ?? [])], [42]);
  });
  test("is refused with a wrong option", () => {
    const define = defineStateMachine as unknown as (name: unknown, options: unknown) => AnyMachine;
    throws(() => define("", { create: makeSum }), codeOf("bad-option", "name"));
    throws(() => define("m", {}), codeOf("bad-option", "create"));
    throws(() => define("m", { create: makeSum, codec: { name: "x" } }), codeOf("bad-option", "codec.encode"));
    throws(() => define("m", { create: makeSum, version: -1 }), codeOf("bad-option", "version"));
    throws(() => runtimeOf(define("m", { create: () => ({}) })).create(), codeOf("bad-option", "create"));
  });
});

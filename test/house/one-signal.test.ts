import { deepEqual, equal } from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Consumer, defineStream, type Group, type Network, type Producer } from "../../src/index.ts";
import { simulate } from "../../src/sim/index.ts";
import { Counter } from "../stories/cast.ts";

// A program may give one signal to whatever it waits for, as often as it likes. Node warns at the eleventh listener of a signal.

const WAITS = 20;
const Words = defineStream<string>("words");

interface Cast {
  readonly network: Network;
  /** Of nobody but us, and so offline. */
  readonly producer: Producer<string>;
  readonly consumer: Consumer<string>;
  readonly group: Group<typeof Counter>;
}
type Waiting = (cast: Cast, options: { readonly signal: AbortSignal }) => Promise<unknown>;

const next = (iterable: AsyncIterable<unknown>): Promise<unknown> => iterable[Symbol.asyncIterator]().next();

const WAITING: Readonly<Record<string, Waiting>> = {
  "network.when.ready": ({ network }, options) => network.when.ready(options),
  "discovery.when.found": ({ network }, options) => network.discovery.when.found({ minimumOf: 9, ...options }),
  "discovery.dial": ({ network }, options) => network.discovery.dial("10.0.0.2:7000", options),
  "discovery.events": ({ network }, options) => next(network.discovery.events(options)),
  "producer.send": ({ producer }, options) => producer.send("a", options),
  "producer.sendMany": ({ producer }, options) => producer.sendMany(["a"], options),
  "producer.when.online": ({ producer }, options) => producer.when.online(options),
  "producer.when.subscribed": ({ producer }, options) => producer.when.subscribed(options),
  "consumer.receive": ({ consumer }, options) => consumer.receive(options),
  "consumer.messages": ({ consumer }, options) => next(consumer.messages(options)),
  "consumer.when.online": ({ consumer }, options) => consumer.when.online(options),
  "group.execute": ({ group }, options) => group.execute({ add: 1 }, { timeoutMs: 600_000, ...options }),
  "group.query": ({ group }, options) => group.query("value", { timeoutMs: 600_000, ...options }),
  "group.when.online": ({ group }, options) => group.when.online(options),
  "group.when.reaches": ({ group }, options) => group.when.reaches(1, options),
  "group.when.leaderElected": ({ group }, options) => group.when.leaderElected(options),
  "group.watch": ({ group }, options) => next(group.watch(options)),
  "group.whileLeader": ({ group }, options) => group.whileLeader(() => {}, options),
};

describe("one signal for many waits", () => {
  const warnings: Error[] = [];
  const note = (warning: Error): void => void warnings.push(warning);
  before(() => process.on("warning", note));
  after(() => process.off("warning", note));

  for (const [name, wait] of Object.entries(WAITING)) {
    it(`of ${name} is no leak, and ends them all`, async () => {
      await simulate(
        async (sim) => {
          const [a, b] = [await sim.node("a"), await sim.node("b")];
          sim.cut(a, b);
          const { network } = a;
          const producer = network.streams.produce(Words, { onlineWhen: { tags: "nobody" } });
          const consumer = network.streams.consume(defineStream<string>("others"), { onlineWhen: {} });
          const group = network.groups.join("lonely", { machine: Counter, expect: 3 });
          const controller = new AbortController();
          const { signal } = controller;
          const waits = Array.from({ length: WAITS }, () => wait({ network, producer, consumer, group }, { signal }));
          const ends = Promise.allSettled(waits);
          await sim.sleep(100);
          const reason = new Error("enough");
          controller.abort(reason);
          for (const end of await ends) equal(end.status === "rejected" && end.reason, reason);
        },
        { seeds: 1 },
      );
      // They are told in a tick of their own.
      await new Promise(setImmediate);
      deepEqual(
        warnings.splice(0).map(({ message }) => message),
        [],
      );
    });
  }
});

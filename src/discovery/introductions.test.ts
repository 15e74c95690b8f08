import assert from "node:assert/strict";
import { test } from "node:test";
import { LIMITS, Scope, silentLogger } from "../env/index.ts";
import type { PeerId } from "../identity/index.ts";
import { DialError } from "../transport/index.ts";
import type { Link } from "../wire/index.ts";
import { Introductions } from "./introductions.ts";
import { entryOf, idOf, range, underSeeds } from "./testing.ts";

test(
  "introductions: one dial a peer, so many at a time, and none is repeated by itself",
  underSeeds(async ({ world }) => {
    const scope = new Scope(world.env("ada"), (cause) => world.fail(cause));
    const many = range(LIMITS.introductionsMax + 1);
    const entries = new Map(many.map((number) => [idOf(number), entryOf(number)]));
    const dials: { id: PeerId | undefined; settle: (outcome: Link | DialError) => void }[] = [];
    const adopted: Link[] = [];
    const introductions = new Introductions({
      scope,
      logger: silentLogger,
      entryOf: (id) => entries.get(id),
      isLinked: () => false,
      dial: ({ id }) =>
        new Promise((resolve, reject) => {
          const settle = (outcome: Link | DialError): void =>
            outcome instanceof DialError ? reject(outcome) : resolve(outcome);
          dials.push({ id, settle });
        }),
      adopt: (link) => adopted.push(link),
    });
    const begin = (numbers: readonly number[]): void => {
      for (const number of numbers) introductions.begin(idOf(number));
    };

    begin(many);
    begin(many);
    assert.deepEqual(
      dials.map(({ id }) => id),
      many.slice(0, LIMITS.introductionsMax).map(idOf),
    );

    const link = {} as Link;
    dials[0]?.settle(link);
    dials[1]?.settle(new DialError("unreachable", "nobody there"));
    await new Promise<void>((resolve) => scope.after(1, resolve));
    assert.deepEqual(adopted, [link]);
    assert.equal(dials.length, LIMITS.introductionsMax);
    begin([...many].reverse());
    assert.deepEqual(
      dials.slice(LIMITS.introductionsMax).map(({ id }) => id),
      [many.length, 2].map(idOf),
    );
  }),
);

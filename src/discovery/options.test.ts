import assert from "node:assert/strict";
import { test } from "node:test";
import { LIMITS, MosaikError } from "../env/index.ts";
import { UniqueId } from "../identity/index.ts";
import { checkAttributes, checkBootstrap, checkTags } from "./options.ts";
import { fits, makePeer } from "./peer.ts";
import { entryOf, identityOf } from "./testing.ts";
import { checkTicketSources, issueTickets } from "./tickets.ts";

function refused(option: string, attempt: () => unknown): void {
  assert.throws(attempt, (error) => MosaikError.is(error, "bad-option") && error.details.option === option);
}

test("tags: one or more, sorted and without duplicates; anything else is refused by name", () => {
  assert.deepEqual(checkTags(undefined), []);
  assert.deepEqual(checkTags("a"), ["a"]);
  assert.deepEqual(checkTags(["b", "a", "b"]), ["a", "b"]);
  const many = Array.from({ length: LIMITS.tagsMax + 1 }, (_, index) => `t${index}`);
  for (const bad of [1, [1], {}, "", ["a\n"], ["x".repeat(LIMITS.tagBytesMax + 1)], ["\ud800"], many]) {
    refused("tags", () => checkTags(bad));
  }
});

test("attributes: text for text, at most 4 KiB, undefined left out", () => {
  assert.deepEqual(checkAttributes(undefined), {});
  assert.deepEqual(checkAttributes({ a: "1", b: undefined }), { a: "1" });
  for (const bad of [1, "a", [], null, { a: 1 }, { a: "\udc00" }, { a: "x".repeat(LIMITS.attributesBytesMax) }]) {
    refused("attributes", () => checkAttributes(bad));
  }
});

test("bootstrap: addresses with or without an id, commas between several", () => {
  const id = identityOf(1).peerId;
  const addresses = checkBootstrap([`a.example:1, ${id}@[::1]:2`, "a.example:1", ""]);
  assert.deepEqual(
    addresses.map(({ address }) => address),
    [
      { id: undefined, addresses: ["a.example:1"] },
      { id, addresses: ["[::1]:2"] },
    ],
  );
  assert.deepEqual(checkBootstrap(undefined), []);
  const many = Array.from({ length: LIMITS.bootstrapMax + 1 }, (_, index) => `h${index}:1`);
  for (const bad of [1, "host", "host:port", "host:99999", "abc@host:1", [":1"], many]) {
    refused("bootstrap", () => checkBootstrap(bad));
  }
});

test("a peer is a snapshot that nobody can change", () => {
  const peer = makePeer(entryOf(1, { tags: ["a"], attributes: { key: "value" } }), 5);
  const tags = peer.tags as Set<string>;
  assert.throws(() => tags.add("b"), TypeError);
  assert.throws(() => tags.delete("a"), TypeError);
  assert.throws(() => tags.clear(), TypeError);
  assert.throws(() => Object.assign(peer, { id: "x" }), TypeError);
  assert.throws(() => Object.assign(peer.attributes, { key: "x" }), TypeError);
  assert.throws(() => (peer.addresses as string[]).push("x"), TypeError);
  assert.deepEqual([...peer.tags], ["a"]);
});

test("a rule holds when all its parts hold; an unmeasured peer fails a limit on the round trip", () => {
  const peer = makePeer(entryOf(1, { tags: ["a", "b"] }), 10);
  const unmeasured = makePeer(entryOf(1), undefined);
  const rows = [
    [peer, {}, true],
    [peer, { tags: "a" }, true],
    [peer, { tags: ["a", "b"] }, true],
    [peer, { tags: ["a", "c"] }, false],
    [peer, { maxRttMs: 10 }, true],
    [peer, { maxRttMs: 9 }, false],
    [unmeasured, { maxRttMs: 1_000_000 }, false],
    [peer, { tags: "a", where: () => false }, false],
    [peer, { where: (candidate: typeof peer) => candidate.tags.has("b") }, true],
  ] as const;
  for (const [candidate, rule, expected] of rows) assert.equal(fits(candidate, rule), expected, JSON.stringify(rule));
});

const CLASS = UniqueId.from("tickets of tests");

test("tickets: one or more, or functions that make them; checked before any is called", () => {
  let calls = 0;
  const make = (): { class: UniqueId; data: Uint8Array } => {
    calls += 1;
    return { class: CLASS, data: new Uint8Array(2) };
  };
  assert.deepEqual(checkTicketSources(undefined), []);
  assert.deepEqual(checkTicketSources(make), [make]);
  assert.deepEqual(checkTicketSources({ class: CLASS, data: Buffer.of(7) }), [
    { class: CLASS, data: Uint8Array.of(7) },
  ]);
  const good = { class: CLASS, data: new Uint8Array(LIMITS.ticketBytesMax) };
  assert.equal(checkTicketSources(Array(LIMITS.ticketsMax).fill(good)).length, LIMITS.ticketsMax);
  const bad = [
    ...[1, "ticket", null, [null], {}, { ...good, class: "short" }, { ...good, data: "text" }, { ...good, data: [1] }],
    { ...good, data: new Uint8Array(LIMITS.ticketBytesMax + 1) },
    [make, good, 1],
    Array(LIMITS.ticketsMax + 1).fill(make),
  ];
  for (const value of bad) refused("tickets", () => checkTicketSources(value));
  assert.equal(calls, 0);
});

test("a function that makes a ticket is called once; one that throws is a wrong option, with its cause", async () => {
  const ticket = { class: CLASS, data: Uint8Array.of(1) };
  let calls = 0;
  const sources = [
    ticket,
    () => ticket,
    async () => {
      calls += 1;
      return { class: CLASS, data: Uint8Array.of(2) };
    },
  ];
  assert.deepEqual(await issueTickets(sources), [ticket, ticket, { class: CLASS, data: Uint8Array.of(2) }]);
  assert.equal(calls, 1);
  const cause = new Error("the secret is 1234");
  const failing = [
    () => Promise.reject(cause),
    () => {
      throw cause;
    },
  ];
  for (const source of failing) {
    await assert.rejects(
      issueTickets([ticket, source]),
      (error) => MosaikError.is(error, "bad-option") && error.cause === cause && !error.message.includes("1234"),
    );
  }
  await assert.rejects(issueTickets([() => ({ class: CLASS, data: "text" }) as never]), { code: "bad-option" });
});

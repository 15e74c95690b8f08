import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { addressBucket, formatAddress, parseAddress, parsePeerAddress } from "./address.ts";
import { Admission, transportLimits } from "./admission.ts";

const ID = "0123456789abcdef".repeat(4);

test("addresses", () => {
  const rows: readonly (readonly [string, readonly [string, number] | undefined])[] = [
    ["127.0.0.1:80", ["127.0.0.1", 80]],
    ["example.org:0", ["example.org", 0]],
    ["a_b-c.d:65535", ["a_b-c.d", 65_535]],
    ["[::1]:7", ["::1", 7]],
    ["[fd00::2]:443", ["fd00::2", 443]],
    ["::1:7", undefined],
    ["[::1]", undefined],
    ["[127.0.0.1]:1", undefined],
    ["host", undefined],
    [":80", undefined],
    ["host:", undefined],
    ["host:65536", undefined],
    ["host:-1", undefined],
    ["host:1e3", undefined],
    ["ho st:1", undefined],
    ["-host:1", undefined],
    ["user@host:1", undefined],
    [`${"a".repeat(300)}:1`, undefined],
    ["", undefined],
  ];
  for (const [text, expected] of rows) {
    const parsed = parseAddress(text);
    assert.deepEqual(parsed && [parsed.host, parsed.port], expected, text);
    if (parsed !== undefined) assert.equal(formatAddress(parsed.host, parsed.port), text);
  }
});

test("addresses with a peer's id", () => {
  assert.deepEqual(parsePeerAddress(`${ID}@host:1`), { id: ID, addresses: ["host:1"] });
  assert.deepEqual(parsePeerAddress(`${ID.toUpperCase()}@[::1]:1`), { id: ID, addresses: ["[::1]:1"] });
  assert.deepEqual(parsePeerAddress("host:1"), { id: undefined, addresses: ["host:1"] });
  for (const text of ["@host:1", "abc@host:1", `${ID}@`, `${ID}@host`, `${ID}@${ID}@host:1`]) {
    assert.equal(parsePeerAddress(text), undefined, text);
  }
});

test("any text gives an address or undefined", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => {
      parsePeerAddress(text);
      addressBucket(text);
    }),
  );
});

test("one party's addresses count together", () => {
  const rows = [
    ["192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:0db8:0001:0002::1", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["1:2:3:4::192.0.2.1", "1:2:3:4::/64"],
  ] as const;
  for (const [host, bucket] of rows) assert.equal(addressBucket(host), bucket, host);
});

test("admission gives back exactly what it lent", () => {
  const limits = transportLimits({
    handshakesInProgressMax: 4,
    handshakesPerAddressMax: 2,
    connectionsPerAddressMax: 3,
    connectionsMax: 5,
  });
  const step = fc.record({ host: fc.constantFrom("a", "b", "c"), action: fc.nat({ max: 3 }), pick: fc.nat() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const admission = new Admission(limits);
      let held: { host: string; isHandshaking: boolean; slot: NonNullable<ReturnType<Admission["enter"]>> }[] = [];
      for (const { host, action, pick } of steps) {
        const one = held[pick % Math.max(1, held.length)];
        if (action < 2) {
          const handshakes = held.filter(({ isHandshaking }) => isHandshaking);
          const fits =
            held.length < 5 &&
            handshakes.length < 4 &&
            held.filter((each) => each.host === host).length < 3 &&
            handshakes.filter((each) => each.host === host).length < 2;
          const slot = admission.enter(host);
          assert.equal(slot !== undefined, fits);
          if (slot !== undefined) held.push({ host, isHandshaking: true, slot });
        } else if (one !== undefined && action === 2) {
          one.slot.establish();
          one.slot.establish();
          one.isHandshaking = false;
        } else if (one !== undefined) {
          one.slot.release();
          one.slot.release();
          one.slot.establish();
          held = held.filter((each) => each !== one);
        }
      }
    }),
  );
});

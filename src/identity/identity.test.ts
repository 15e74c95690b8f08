import { deepEqual, equal, notEqual, throws } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import fc from "fast-check";
import { hash, ID_BYTES, Identity, type PeerId, Secret, UniqueId, verifySignature } from "./index.ts";

interface KnownAnswer {
  readonly text: string;
  readonly id: string;
  readonly derive_text_child: string;
  readonly derive_u8_7: string;
  readonly peer_id_of_secret_id: string;
}
const known = JSON.parse(
  readFileSync(new URL("../../test/vectors/ids.json", import.meta.url), "utf8"),
) as readonly KnownAnswer[];

describe("ids are those of the reference", () => {
  for (const answer of known) {
    it(JSON.stringify(answer.text), () => {
      const id = UniqueId.from(answer.text);
      equal(id, answer.id);
      equal(UniqueId.derive(id, "child"), answer.derive_text_child);
      const seven = new Uint8Array(ID_BYTES);
      seven[ID_BYTES - 1] = 7;
      equal(UniqueId.derive(id, seven), answer.derive_u8_7);
      equal(Identity.fromSeed(UniqueId.toBytes(id)).peerId, answer.peer_id_of_secret_id);
    });
  }
});

describe("ids", () => {
  it("come back from bytes, and print short", () => {
    const id = UniqueId.from("my-app");
    equal(UniqueId.fromBytes(UniqueId.toBytes(id)), id);
    equal(UniqueId.short(id), id.slice(0, 10));
    equal(UniqueId.from(id.toUpperCase()), id);
    throws(() => UniqueId.fromBytes(new Uint8Array(31)), RangeError);
  });

  it("are recognized by their form alone", () => {
    equal(UniqueId.is(UniqueId.from("x")), true);
    for (const other of ["", "x", "A".repeat(64), `${"a".repeat(63)}g`, 7, undefined, null])
      equal(UniqueId.is(other), false);
  });

  it("of different parts differ, however they are cut", () => {
    fc.assert(fc.property(fc.string(), fc.string(), (a, b) => a === b || hash(a) !== hash(b)));
    equal(hash("ab", "c"), hash("a", "bc"));
  });
});

describe("an identity", () => {
  const seed = new Uint8Array(ID_BYTES).fill(9);
  const identity = Identity.fromSeed(seed);
  const message = Buffer.from("a message");

  it("signs the same each time, and only it can", () => {
    const signature = identity.sign(message);
    deepEqual(identity.sign(message), signature);
    equal(verifySignature(identity.peerId, message, signature), true);
    equal(verifySignature(Identity.fromSeed(new Uint8Array(ID_BYTES).fill(8)).peerId, message, signature), false);
    equal(verifySignature(identity.peerId, Buffer.from("another"), signature), false);
  });

  it("any damaged signature is refused, and nothing throws", () => {
    const signature = identity.sign(message);
    fc.assert(
      fc.property(fc.nat(signature.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const damaged = Uint8Array.from(signature);
        damaged[at] = (damaged[at] as number) ^ flip;
        return !verifySignature(identity.peerId, message, damaged);
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 70 }), (bytes) => !verifySignature(identity.peerId, message, bytes)),
    );
    equal(verifySignature("00".repeat(32) as PeerId, message, signature), false);
  });

  it("is judged by its own key, however many others have signed meanwhile", () => {
    const signers = Array.from({ length: 1_100 }, (_, number) =>
      Identity.fromSeed(new Uint8Array(ID_BYTES).fill(number & 0xff).fill(number >>> 8, 16)),
    );
    const signatures = signers.map((signer) => signer.sign(message));
    for (let round = 0; round < 2; round++) {
      for (const [place, { peerId }] of signers.entries()) {
        equal(verifySignature(peerId, message, signatures[place] as Uint8Array), true);
        equal(verifySignature(peerId, message, signatures[place ^ 1] as Uint8Array), false);
      }
    }
  });

  it("does not change with the seed that it was made of, and refuses another length", () => {
    const own = Uint8Array.from(seed);
    const made = Identity.fromSeed(own);
    own.fill(0);
    equal(Identity.fromSeed(made.exportSeed()).peerId, made.peerId);
    throws(() => Identity.fromSeed(new Uint8Array(16)), RangeError);
  });
});

describe("secrets never print", () => {
  const seed = Buffer.from("0123456789abcdef0123456789abcdef");
  const text = "correct horse battery staple";
  const hidden = [seed.toString("hex"), seed.toString("utf8"), seed.toString("base64"), text];
  for (const [name, value] of [
    ["an identity", Identity.fromSeed(seed)],
    ["a secret", new Secret(text)],
  ] as const) {
    it(name, () => {
      const error = new Error("failed", { cause: value });
      const prints = [
        `${value}`,
        JSON.stringify({ value }),
        inspect(value, { depth: 9, showHidden: true }),
        inspect({ value }),
        inspect(error, { showHidden: true }),
        JSON.stringify(Object.entries(value)),
      ];
      for (const print of prints) for (const part of hidden) equal(print.includes(part), false);
    });
  }
});

describe("a secret", () => {
  const [ada, bob] = [UniqueId.from("ada") as PeerId, UniqueId.from("bob") as PeerId];
  const exported = new Uint8Array(32).fill(1);

  it("proves itself for one peer on one connection", () => {
    const secret = new Secret("a secret of the network");
    const proof = secret.prove(ada, exported);
    equal(secret.verify(ada, exported, proof), true);
    equal(new Secret("a secret of the network").verify(ada, exported, proof), true);
    // Not reflected, not replayed, not by another secret, not cut.
    equal(secret.verify(bob, exported, proof), false);
    equal(secret.verify(ada, new Uint8Array(32).fill(2), proof), false);
    equal(new Secret("another secret of it").verify(ada, exported, proof), false);
    equal(secret.verify(ada, exported, proof.subarray(1)), false);
    notEqual(Buffer.compare(proof, secret.prove(bob, exported)), 0);
  });
});

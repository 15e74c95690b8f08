import { equal, notEqual, ok } from "node:assert/strict";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { describe, it } from "node:test";
import { Identity } from "../../identity/index.ts";
import { makeCredentials, peerIdOf } from "./certificate.ts";

const identity = Identity.fromSeed(new Uint8Array(32).fill(7));

describe("the certificate of an identity", () => {
  const { key, cert } = makeCredentials(identity);

  it("is one that OpenSSL reads, with its key, signed by that", () => {
    const certificate = new X509Certificate(cert);
    equal(peerIdOf(certificate), identity.peerId);
    ok(certificate.verify(certificate.publicKey));
    ok(certificate.checkPrivateKey(createPrivateKey(key)));
    equal(certificate.subject, "CN=mosaik");
    equal(certificate.issuer, "CN=mosaik");
    equal(certificate.serialNumber, "01");
    equal(certificate.validFrom, "Jan  1 00:00:00 2020 GMT");
    equal(certificate.validTo, "Dec 31 23:59:59 9999 GMT");
  });

  it("is one that a library for certificates reads, and writes again as it is", async () => {
    await import("reflect-metadata");
    const { X509Certificate: Parsed } = await import("@peculiar/x509");
    const parsed = new Parsed(cert);
    ok(await parsed.verify());
    ok(await parsed.isSelfSigned());
    equal(parsed.extensions.length, 0);
    equal(parsed.toString("hex"), new X509Certificate(cert).raw.toString("hex"));
  });

  it("is the same at each start, and another one for another key", () => {
    equal(makeCredentials(Identity.fromSeed(identity.exportSeed())).cert, cert);
    notEqual(makeCredentials(Identity.fromSeed(new Uint8Array(32).fill(8))).cert, cert);
  });
});

import type { Layout } from "./harness.ts";
import type { Hosts, Part } from "./hosts.ts";

/** The peer of every network bench: a program of our own on `node:tls` and nothing else. */
export const RAW_TLS = "node:tls";
/** Three etcd processes, with a client of npm's. */
export const ETCD = "etcd";
/** A NATS server, with a client of npm's. */
export const NATS = "nats";

/** A raw client and a raw server that it talks to. */
export interface RawPair {
  readonly client: Part;
  readonly port: number;
}

export async function rawPair(hosts: Hosts, layout: Layout): Promise<RawPair> {
  const [near, far] = hosts.places(2, layout);
  if (near === undefined || far === undefined) throw new RangeError("two places");
  const server = await far.make("raw", "RawServer");
  return { client: await near.make("raw", "RawClient"), port: await server.call<number>("port") };
}

export const MESSAGE_BYTES = 100;

/** Median round trip, in microseconds. */
export function rawPingPong({ client, port }: RawPair, durationMs: number): Promise<number> {
  return client.call<number>("pingPong", port, { bytes: MESSAGE_BYTES, durationMs });
}

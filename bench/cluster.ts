import { randomBytes } from "node:crypto";
import type { Host, Part } from "./hosts.ts";

/** Members of one group, one a place. */
export interface Cluster {
  readonly members: readonly Part[];
  readonly secret: string;
  /** Where others reach the first member. */
  readonly address: string;
  /** From the first node's making until all were online, in microseconds. */
  readonly formationUs: number;
}

/** The clock that all processes of a machine share (CLOCK_MONOTONIC), in microseconds. */
export function nowUs(): number {
  return Number(process.hrtime.bigint() / 1_000n);
}

/** What a member is made of: a class of `nodes/`, with its options beside the secret. */
export interface MemberKind {
  readonly module: string;
  readonly part: string;
  readonly options?: object;
}

const COUNTER: MemberKind = { module: "member", part: "Member" };

/** A network of its own, whose nodes know the first one's address; all expect all. */
export async function makeCluster(places: readonly Host[], kindOf = (_: number) => COUNTER): Promise<Cluster> {
  const secret = randomBytes(24).toString("base64url");
  const make = (host: Host, number: number): Promise<Part> => {
    const { module, part, options } = kindOf(number);
    return host.make(module, part, { ...options, secret });
  };
  const members = await Promise.all(places.map(make));
  const [first, ...others] = members;
  if (first === undefined) throw new RangeError("a cluster needs a place");
  const beganUs = nowUs();
  const address = await first.call<string>("create");
  await Promise.all(others.map((member) => member.call("create", address)));
  const online = await Promise.all(members.map((member) => member.call<number>("join", members.length)));
  // A lone group opens with its first command, so it has formed when that is acknowledged.
  if (others.length === 0) online.push(await first.call<number>("first"));
  return { members, secret, address, formationUs: Math.max(...online) - beganUs };
}

/** The one that leads, and the others. */
export async function rolesOf({ members }: Cluster): Promise<{ leader: Part; followers: readonly Part[] }> {
  const leads = await Promise.all(members.map((member) => member.call<boolean>("isLeader")));
  const leader = members[leads.indexOf(true)];
  if (leader === undefined) throw new Error("nobody leads");
  return { leader, followers: members.filter((member) => member !== leader) };
}

export async function closeCluster({ members }: Cluster): Promise<void> {
  await Promise.all(members.filter(({ host }) => host.isAlive).map((member) => member.call("close")));
}

import type { MemberStatus } from "../../src/groups/bonds/status.ts";
import { memberId } from "../../src/groups/entries/member-id.ts";
import { decideFounding, type Seen, shouldSetAside } from "../../src/groups/founding/founding.ts";
import { incarnation as incarnationId, peer, statusOf, store as storeId } from "../groups/kit.ts";
import { historyOf, type Incarnation, isOpen, type Life, type Node, type State, type Voter } from "./state.ts";

/** What a store was, as others may have heard of it. */
export interface History {
  readonly incarnation: number;
  readonly isReader: boolean;
  readonly wasOpen: boolean;
  /** By a crash, not set aside: nobody can say that it left. */
  readonly isLost: boolean;
}

export type Choice =
  | { readonly type: "found"; readonly voters: readonly Voter[] }
  | { readonly type: "follow"; readonly incarnation: number };

const PEERS = ["ada", "bob", "cyd", "dan", "eve"].map(peer).sort();
const STORES = PEERS.map((_, node) => Array.from({ length: 6 }, (_, store) => storeId(`${node}/${store}`)));
const INCARNATIONS = [0, 1, 2].map((number) => incarnationId(`${number}`)).sort();
const MEMBERS = new Map<string, Voter>(
  STORES.flatMap((stores, node) => stores.map((_, store) => [memberOf({ node, store }), { node, store }] as const)),
);

const choices = new Map<string, readonly Choice[]>();
const givesUp = new Map<string, boolean>();

/** What a free member may decide, over all that it may be seeing. Each voter named is a store that there was. */
export function foundingChoices(state: State, self: number, expect: number): readonly Choice[] {
  const key = `${expect}/${self}${historyKey(state)}`;
  const known = choices.get(key);
  if (known !== undefined) return known;
  const found = new Map<string, Choice>();
  const { store } = state.nodes[self] as Node;
  for (const others of views(state, self)) {
    const step = decideFounding({
      self: seen(self, { store }),
      expect,
      others,
      untried: [],
      isSurroundingsKnown: true,
    });
    if (step.type === "found") {
      const voters = step.voters.map((member) => MEMBERS.get(member) as Voter);
      found.set(step.voters.join(), { type: "found", voters });
    } else if (step.type === "follow") {
      found.set(step.incarnation, { type: "follow", incarnation: INCARNATIONS.indexOf(step.incarnation) });
    }
  }
  const result = [...found.values()];
  choices.set(key, result);
  return result;
}

/** Does anything that this voter may be seeing make it set its store aside, its patience being over? */
export function mayGiveUp(state: State, self: number, place: number, expect: number): boolean {
  const { store, lives } = state.nodes[self] as Node;
  const life = lives[place] as Life;
  const isLeader = life.role === "leader";
  const { voters } = state.incarnations[life.incarnation] as Incarnation;
  const names = voters.map(memberOf);
  const key = `${expect}/${self}${place}${isLeader}${names.map((name) => JSON.stringify(MEMBERS.get(name)))}${historyKey(state)}`;
  const known = givesUp.get(key);
  if (known !== undefined) return known;
  const own = seen(self, { store, life: historyOf(life), isOpen: isOpen(life.log), isLed: isLeader });
  const incarnation = INCARNATIONS[life.incarnation] as NonNullable<MemberStatus["incarnation"]>;
  const view = { incarnation, voters: names, expect, self: own, isLeader, hasLeader: isLeader, isPatienceOver: true };
  const result = views(state, self).some((others) => shouldSetAside({ ...view, others }));
  givesUp.set(key, result);
  return result;
}

/** Of each other node nothing, or anything that it ever said. */
function views(state: State, self: number): readonly (readonly Seen[])[] {
  let all: Seen[][] = [[]];
  state.nodes.forEach((node, index) => {
    if (index === self) return;
    const said = everSaid(node, index);
    all = all.flatMap((view) => [view, ...said.map((one) => [...view, one])]);
  });
  return all;
}

function everSaid({ store, lives, past }: Node, node: number): Seen[] {
  const all: Seen[] = [];
  const say = (which: number, history: History | undefined): void => {
    all.push(seen(node, { store: which }));
    if (history === undefined) return;
    for (const isLed of [false, true]) {
      if (!history.isReader) all.push(seen(node, { store: which, life: history, isLed }));
      if (history.wasOpen) all.push(seen(node, { store: which, life: history, isLed, isOpen: true }));
    }
  };
  for (const [which, history] of past.entries()) say(which, history);
  say(store, lives[0] === undefined ? undefined : historyOf(lives[0]));
  for (const life of lives.slice(1)) say(store, historyOf(life));
  return all;
}

interface Said {
  readonly store: number;
  readonly life?: History;
  readonly isOpen?: boolean;
  readonly isLed?: boolean;
}

const statuses = new Map<string, Seen>();

function seen(node: number, { store, life, isOpen: open = false, isLed = false }: Said): Seen {
  const key = `${node}.${store}.${life?.incarnation}.${life?.isReader}.${open}.${isLed}`;
  const known = statuses.get(key);
  if (known !== undefined) return known;
  const role: MemberStatus["role"] = life?.isReader === true ? "reader" : "voter";
  const status = statusOf({
    storeId: STORES[node]?.[store] as MemberStatus["storeId"],
    isEligible: true,
    isOpen: open,
    leader: isLed ? PEERS[node] : undefined,
    ...(life === undefined ? {} : { incarnation: INCARNATIONS[life.incarnation], role }),
  });
  const made = { peer: PEERS[node] as Seen["peer"], status };
  statuses.set(key, made);
  return made;
}

function memberOf({ node, store }: Voter) {
  return memberId(PEERS[node] as Seen["peer"], STORES[node]?.[store] as MemberStatus["storeId"]);
}

function historyKey(state: State): string {
  let key = "";
  for (const { store, lives, past } of state.nodes) {
    key += `|${store}`;
    for (const { incarnation, isReader, wasOpen } of [...past, ...lives.map(historyOf)]) {
      key += `,${incarnation}${isReader ? "r" : ""}${wasOpen ? "o" : ""}`;
    }
  }
  return key;
}

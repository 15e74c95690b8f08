import type { History } from "./views.ts";

/** The rules of design that can be left out, to see that each is needed. */
export interface Rules {
  /** A store that is bound is never bound to another incarnation. */
  readonly oneIncarnation: boolean;
  /** Commands are appended only once *open* is committed. */
  readonly openBeforeCommands: boolean;
  /** *Open* needs the genesis on all voters, and serving needs *open* on all voters. */
  readonly genesisOnAll: boolean;
  /** A store with *open* in its log is not set aside like a provisional one. */
  readonly openStays: boolean;
  /** An open store without a command is set aside once all other voters of its incarnation set theirs aside. */
  readonly openMayFollow: boolean;
}

export const ALL_RULES: Rules = {
  oneIncarnation: true,
  openBeforeCommands: true,
  genesisOnAll: true,
  openStays: true,
  openMayFollow: true,
};

export interface Setting {
  readonly nodes: number;
  readonly expect: number;
  readonly rules: Rules;
  /** Stores that crashes may take, in all. */
  readonly lossesMax: number;
  readonly incarnationsMax: number;
  /** Stores of one node, one after the other. */
  readonly storesMax: number;
  /** Terms of one incarnation; the genesis is of term 1. */
  readonly termMax: number;
}

/** One store's part in one incarnation. */
export interface Life {
  readonly incarnation: number;
  readonly isReader: boolean;
  /** After the genesis: kind and term of each entry. N: no-op, O: open, C: command. */
  readonly log: string;
  readonly term: number;
  /** In this term; -1: nobody. */
  readonly votedFor: number;
  readonly role: "follower" | "candidate" | "leader";
  /** Of a candidate: a bit for each voter that granted. */
  readonly votes: number;
  /** Of a leader: length of the log that each voter acknowledged, by place in the genesis; -1: nothing yet. */
  readonly match: readonly number[];
  readonly wasOpen: boolean;
}

export interface Node {
  /** Which of the node's stores this is, from 0. */
  readonly store: number;
  /** At most one, as long as the rule holds. */
  readonly lives: readonly Life[];
  /** Of the stores before. */
  readonly past: readonly History[];
}

export interface Incarnation {
  readonly voters: readonly Voter[];
  /** The first command that was acknowledged: its place and its term; "" if none was. */
  readonly acknowledged: string;
  /** A leader gave it up: its word may arrive at any time. */
  readonly isDissolved: boolean;
}

export interface Voter {
  readonly node: number;
  readonly store: number;
}

export interface State {
  readonly nodes: readonly Node[];
  readonly incarnations: readonly Incarnation[];
  readonly losses: number;
}

export interface Step {
  readonly action: string;
  readonly state: State;
  /** What this very step breaks. */
  readonly violation?: Violation;
}

export type Violation = "two incarnations acknowledged" | "set aside with a command" | "bound twice";

export function initialState(setting: Setting): State {
  const node: Node = { store: 0, lives: [], past: [] };
  return { nodes: Array.from({ length: setting.nodes }, () => node), incarnations: [], losses: 0 };
}

/** The same for equal states, and for no others. */
export function keyOf(state: State): string {
  let key = `${state.losses}`;
  for (const { store, lives, past } of state.nodes) {
    key += `|${store}`;
    for (const life of lives) {
      key += `,${life.incarnation}${life.isReader ? "r" : life.role[0]}${life.log}.${life.term}.${life.votedFor}.${life.votes}.${life.match.join(":")}${life.wasOpen ? "o" : ""}`;
    }
    for (const { incarnation, isReader, wasOpen, isLost } of past) {
      key += `;${incarnation}${isReader ? "r" : ""}${wasOpen ? "o" : ""}${isLost ? "l" : ""}`;
    }
  }
  for (const { voters, acknowledged, isDissolved } of state.incarnations) {
    key += `#${acknowledged}${isDissolved ? "d" : ""}`;
    for (const { node, store } of voters) key += `${node}.${store},`;
  }
  return key;
}

export const nameOf = (node: number): string => "abcdef"[node] as string;
export const incarnationName = (incarnation: number): string => "XYZ"[incarnation] as string;

export function newLife(incarnation: number): Life {
  const log = { log: "", term: 1, votedFor: -1 };
  return { incarnation, isReader: false, ...log, role: "follower", votes: 0, match: [], wasOpen: false };
}

export function follower(life: Life): Life {
  return { ...life, role: "follower", votes: 0, match: [] };
}

export function historyOf(life: Life): History {
  return { incarnation: life.incarnation, isReader: life.isReader, wasOpen: life.wasOpen, isLost: false };
}

export function isOpen(log: string): boolean {
  return log.includes("O");
}

/** Length of the log up to and with the first entry of this kind. */
export function endOf(log: string, kind: string): number | undefined {
  const at = log.indexOf(kind);
  return at < 0 ? undefined : at + 2;
}

/** What a majority acknowledged, if its last entry is of the leader's own term. */
export function commitOf({ match, log, term }: Life, voters: number): number {
  const sorted = [...match].sort((a, b) => b - a);
  const length = sorted[Math.floor(voters / 2)] as number;
  return length > 0 && log[length - 1] === `${term}` ? length : -1;
}

export function isUpToDate(candidate: string, own: string): boolean {
  const a = Number(candidate.at(-1) ?? 1);
  const b = Number(own.at(-1) ?? 1);
  return a > b || (a === b && candidate.length >= own.length);
}

/** Enough of the stores that were named are still there to elect. */
export function hasMajority(state: State, incarnation: number): boolean {
  const { voters } = state.incarnations[incarnation] as Incarnation;
  const present = voters.filter(({ node, store }) => {
    const { store: now, lives } = state.nodes[node] as Node;
    return (
      now === store && (lives.length === 0 || lives.some((life) => life.incarnation === incarnation && !life.isReader))
    );
  });
  return present.length * 2 > voters.length;
}

export function incarnationOf(state: State, life: Life): Incarnation {
  return state.incarnations[life.incarnation] as Incarnation;
}

export function placeOf(state: State, life: Life, node: number): number {
  return incarnationOf(state, life).voters.findIndex((voter) => voter.node === node);
}

/** The other voters of this incarnation whose stores are still the ones that were named. */
export function forFellows(
  state: State,
  self: number,
  life: Life,
  visit: (node: number, life: Life, place: number) => void,
): void {
  for (const { node, store } of incarnationOf(state, life).voters) {
    const fellow = state.nodes[node] as Node;
    if (node === self || fellow.store !== store) continue;
    const place = fellow.lives.findIndex((one) => one.incarnation === life.incarnation && !one.isReader);
    if (place >= 0) visit(node, fellow.lives[place] as Life, place);
  }
}

export function bits(mask: number): number {
  let count = 0;
  for (let rest = mask; rest > 0; rest >>>= 1) count += rest & 1;
  return count;
}

export function withNode(state: State, index: number, node: Node): State {
  return { ...state, nodes: state.nodes.map((old, at) => (at === index ? node : old)) };
}

export function withLives(state: State, index: number, lives: readonly Life[]): State {
  return withNode(state, index, { ...(state.nodes[index] as Node), lives });
}

export function withLife(state: State, index: number, place: number, life: Life): State {
  const { lives } = state.nodes[index] as Node;
  return withLives(
    state,
    index,
    lives.map((old, at) => (at === place ? life : old)),
  );
}

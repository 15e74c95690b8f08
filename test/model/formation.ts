/**
 * Formation as a set of states and the steps between them, small enough to be explored whole.
 *
 * What a member decides comes from the product's own functions (`decideFounding`, `shouldSetAside`); what this file adds is the world that they are
 * asked in. It is harsher than a real one. There is no network: a genesis, a vote, an append may arrive at any time or never. And a member sees of
 * each other one anything that one has ever said, or nothing (see `views.ts`), so each status may be late by any time, and each cut is there.
 * Raft is cut down to what formation rests on: terms, votes one by one, the log rule, acknowledgements that outlive the store that gave them,
 * commits of the current term only, logs that are truncated.
 */
import {
  bits,
  commitOf,
  endOf,
  follower,
  forFellows,
  hasMajority,
  historyOf,
  type Incarnation,
  incarnationName,
  incarnationOf,
  isOpen,
  isUpToDate,
  type Life,
  type Node,
  nameOf,
  newLife,
  placeOf,
  type Setting,
  type State,
  type Step,
  withLife,
  withLives,
  withNode,
} from "./state.ts";
import { foundingChoices, mayGiveUp } from "./views.ts";

/** Steps, and whether the bounds of the setting left one out that might lead further. */
export class Steps extends Array<Step> {
  isCut = false;
}

/** All that can happen next. */
export function stepsFrom(state: State, setting: Setting): Steps {
  const steps = new Steps();
  state.nodes.forEach((node, self) => {
    if (node.lives.length === 0) found(state, setting, self, steps);
    adopt(state, setting, self, steps);
    node.lives.forEach((life, place) => {
      const at: Place = { state, setting, self, place, life, steps };
      if (!life.isReader) {
        campaign(at);
        vote(at);
        receive(at);
        if (life.role === "leader") lead(at);
      }
      leave(at);
      if (life.role !== "follower") restart(at);
    });
    lose(state, setting, self, steps);
  });
  return steps;
}

interface Place {
  readonly state: State;
  readonly setting: Setting;
  readonly self: number;
  readonly place: number;
  readonly life: Life;
  readonly steps: Steps;
}

function found(state: State, setting: Setting, self: number, steps: Steps): void {
  for (const choice of foundingChoices(state, self, setting.expect)) {
    if (choice.type === "follow") {
      const life = { ...newLife(choice.incarnation), isReader: true, wasOpen: true };
      steps.push({
        action: `${nameOf(self)} follows ${incarnationName(choice.incarnation)}`,
        state: withLives(state, self, [life]),
      });
    } else if (state.incarnations.length < setting.incarnationsMax) {
      const incarnation = state.incarnations.length;
      const bound = withLives(state, self, [newLife(incarnation)]);
      const made: Incarnation = { voters: choice.voters, acknowledged: "", isDissolved: false };
      const text = choice.voters.map(({ node, store }) => `${nameOf(node)}${store}`).join(" ");
      steps.push({
        action: `${nameOf(self)} founds ${incarnationName(incarnation)} with ${text}`,
        state: { ...bound, incarnations: [...state.incarnations, made] },
      });
    } else steps.isCut = true;
  }
}

/** A genesis is on its way from the moment that it exists, to all that it names, for ever. */
function adopt(state: State, setting: Setting, self: number, steps: Steps): void {
  const { store, lives } = state.nodes[self] as Node;
  if (lives.length > 0 && setting.rules.oneIncarnation) return;
  state.incarnations.forEach(({ voters }, incarnation) => {
    if (!voters.some((voter) => voter.node === self && voter.store === store)) return;
    if (lives.some((life) => life.incarnation === incarnation)) return;
    steps.push({
      action: `${nameOf(self)} adopts the genesis of ${incarnationName(incarnation)}`,
      state: withLives(state, self, [...lives, newLife(incarnation)]),
      ...(lives.length > 0 ? { violation: "bound twice" as const } : {}),
    });
  });
}

function campaign({ state, setting, self, place, life, steps }: Place): void {
  if (life.role === "leader") return;
  if (life.term >= setting.termMax) {
    steps.isCut ||= hasMajority(state, life.incarnation);
    return;
  }
  const mine = 1 << placeOf(state, life, self);
  const candidate = { ...life, term: life.term + 1, votedFor: self, role: "candidate" as const, votes: mine };
  steps.push({
    action: `${nameOf(self)} campaigns in ${incarnationName(life.incarnation)}`,
    state: withLife(state, self, place, candidate),
  });
}

/** This one grants its vote to a candidate, which may win by it. */
function vote({ state, self, place, life, steps }: Place): void {
  forFellows(state, self, life, (node, other, otherPlace) => {
    if (other.role !== "candidate" || other.term < life.term) return;
    if (other.term === life.term && life.votedFor !== node) return;
    if (!isUpToDate(other.log, life.log)) return;
    const { voters } = incarnationOf(state, life);
    const votes = other.votes | (1 << placeOf(state, life, self));
    if (votes === other.votes) return;
    const granted = { ...follower(life), term: other.term, votedFor: node };
    let winner: Life = { ...other, votes };
    if (bits(votes) * 2 > voters.length) {
      const log = `${other.log}N${other.term}`;
      winner = {
        ...other,
        votes: 0,
        role: "leader",
        log,
        match: voters.map((v) => (v.node === node ? log.length : -1)),
      };
    }
    steps.push({
      action: `${nameOf(self)} votes for ${nameOf(node)} in ${incarnationName(life.incarnation)}`,
      state: withLife(withLife(state, self, place, granted), node, otherPlace, winner),
    });
  });
}

/** This one takes what a leader has. The leader remembers the acknowledgement, whatever becomes of the store. */
function receive({ state, self, place, life, steps }: Place): void {
  forFellows(state, self, life, (node, leader, leaderPlace) => {
    if (leader.role !== "leader" || leader.term < life.term) return;
    const log = life.log.startsWith(leader.log) ? life.log : leader.log;
    const mine = placeOf(state, life, self);
    const match = leader.match.map((length, index) => (index === mine ? leader.log.length : length));
    const votedFor = life.term === leader.term ? life.votedFor : -1;
    const next = { ...follower(life), term: leader.term, votedFor, log, wasOpen: life.wasOpen || isOpen(log) };
    steps.push({
      action: `${nameOf(self)} takes the log of ${nameOf(node)} in ${incarnationName(life.incarnation)}`,
      state: withLife(withLife(state, self, place, next), node, leaderPlace, { ...leader, match }),
    });
  });
}

/** As `LeaderTerm` does: open, serve, acknowledge. */
function lead({ state, setting, self, place, life, steps }: Place): void {
  const { rules } = setting;
  const { voters, acknowledged } = incarnationOf(state, life);
  const name = `${nameOf(self)} in ${incarnationName(life.incarnation)}`;
  const holders = (length: number): number => life.match.filter((known) => known >= length).length;
  const needed = rules.genesisOnAll ? voters.length : Math.floor(voters.length / 2) + 1;
  const append = (kind: string): void => {
    const log = `${life.log}${kind}${life.term}`;
    const match = voters.map((voter, index) => (voter.node === self ? log.length : (life.match[index] as number)));
    const next = { ...life, log, match, wasOpen: life.wasOpen || kind === "O" };
    steps.push({ action: `${name} appends ${kind}`, state: withLife(state, self, place, next) });
  };
  if (!isOpen(life.log) && holders(0) >= needed) append("O");

  const commit = commitOf(life, voters.length);
  const openAt = endOf(life.log, "O");
  const commandAt = endOf(life.log, "C");
  const isServing = openAt !== undefined && commit >= openAt && (commandAt !== undefined || holders(openAt) >= needed);
  if (commandAt === undefined && (isServing || !rules.openBeforeCommands)) append("C");
  if (commandAt === undefined || commit < commandAt || acknowledged !== "") return;
  const incarnations = state.incarnations.map((one, index) =>
    index === life.incarnation ? { ...one, acknowledged: life.log.slice(0, commandAt) } : one,
  );
  const isSecond = state.incarnations.some((one) => one.acknowledged !== "");
  steps.push({
    action: `${name} acknowledges a command`,
    state: { ...state, incarnations },
    ...(isSecond ? { violation: "two incarnations acknowledged" as const } : {}),
  });
}

/** By its own patience, by its leader's word, or after all the others. */
function leave({ state, setting, self, place, life, steps }: Place): void {
  if (!mayLeave(state, setting, self, place, life)) return;
  const { store, past } = state.nodes[self] as Node;
  if (store + 1 >= setting.storesMax) {
    steps.isCut = true;
    return;
  }
  const incarnations = state.incarnations.map((one, index) =>
    index === life.incarnation && life.role === "leader" ? { ...one, isDissolved: true } : one,
  );
  const fresh: Node = { store: store + 1, lives: [], past: [...past, historyOf(life)] };
  const { acknowledged } = incarnationOf(state, life);
  const holdsCommand = acknowledged !== "" && life.log.startsWith(acknowledged);
  steps.push({
    action: `${nameOf(self)} sets its store of ${incarnationName(life.incarnation)} aside`,
    state: { ...withNode(state, self, fresh), incarnations },
    ...(holdsCommand ? { violation: "set aside with a command" as const } : {}),
  });
}

function mayLeave(state: State, { rules, expect }: Setting, self: number, place: number, life: Life): boolean {
  const { voters, isDissolved } = incarnationOf(state, life);
  if (life.isReader || isOpen(life.log)) {
    const others = voters.filter(({ node }) => node !== self);
    const haveLeft = others.every(({ node, store }) => state.nodes[node]?.past[store]?.isLost === false);
    if (rules.openMayFollow && haveLeft && !life.log.includes("C")) return true;
    if (life.isReader || rules.openStays) return false;
  }
  return (isDissolved && life.role !== "leader") || mayGiveUp(state, self, place, expect);
}

/** A crash that keeps the store. */
function restart({ state, self, place, life, steps }: Place): void {
  steps.push({ action: `${nameOf(self)} restarts`, state: withLife(state, self, place, follower(life)) });
}

/** A crash that loses the store: the node comes back as a stranger. */
function lose(state: State, setting: Setting, self: number, steps: Steps): void {
  const { store, lives, past } = state.nodes[self] as Node;
  if (state.losses >= setting.lossesMax || store + 1 >= setting.storesMax || lives.length === 0) return;
  const fresh: Node = {
    store: store + 1,
    lives: [],
    past: [...past, { ...historyOf(lives[0] as Life), isLost: true }],
  };
  steps.push({
    action: `${nameOf(self)} loses its store`,
    state: { ...withNode(state, self, fresh), losses: state.losses + 1 },
  });
}

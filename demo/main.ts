/**
 * The demo: three processes become a cluster, lose their leader to `kill -9` under load, go on, and take in a fourth in its place. At the end
 * every acknowledged command is looked for on every member: each must be there, once.
 *
 *   npm run demo [-- --json] [-- --delete-one]
 *
 * At a terminal it is drawn in place; elsewhere it prints a line for each thing that happens; `--json` prints JSON lines alone. `--delete-one`
 * removes one acknowledged id from what a member reports, to show that the verdict would see it. Exit codes: 0 nothing lost or doubled, 1
 * something was, 2 a wrong option, 3 the demo itself failed.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type Actor, Cast } from "./cast.ts";
import { count, seconds } from "./dashboard.ts";
import { idOf, type News } from "./protocol.ts";
import { LiveShow, lineShow, type Show } from "./show.ts";
import { isGood, judge, type Verdict } from "./verdict.ts";

const CONCURRENCY = 16;
/** Acknowledged before the kill, and after the replacement votes. */
const COMMANDS = 2_000;
/** People at a terminal want to see it run for a moment. */
const LIVE_PAUSE_MS = 1_200;

interface Times {
  readonly formationMs: number;
  readonly failoverMs: number;
  readonly replacementMs: number;
}

const { json, deleteOne } = options();
const isLive = !json && process.stdout.isTTY && process.env["TERM"] !== "dumb";
const show = isLive ? new LiveShow(process.stdout, !process.env["NO_COLOR"]) : lineShow(json);
const cast = new Cast(randomBytes(24).toString("base64url"), (actor, news) => showNews(show, actor, news));

for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  process.on(signal, () => quit(code));
}
try {
  const times = await play();
  quit(isGood(await conclude(times)) ? 0 : 1);
} catch (error) {
  show.end();
  console.error(error, cast.complaints);
  quit(3);
}

async function play(): Promise<Times> {
  // Three processes listen on loopback. They share a secret, and know nothing else of each other.
  const founders = await start("ada", "bob", "cyd");
  const [ada] = founders as [Actor, Actor, Actor];
  show.say("ada, bob and cyd listen, each with a key of its own", { type: "listening", peers: idsOf(founders) });

  // They find each other through ada's address, found the group, and elect a leader.
  const joinedMs = performance.now();
  cast.tell([ada], { type: "join", bootstrap: [] });
  cast.tell(founders.slice(1), { type: "join", bootstrap: [ada.address] });
  const [{ leader: leaderId }] = await cast.heard("online", founders);
  const formationMs = sinceMs(joinedMs);
  const leader = actorOf(leaderId);
  const formed = { type: "formed", formationMs, leader: leaderId };
  show.say(`the group is formed in ${seconds(formationMs)}, and ${leader.name} leads`, formed, "good");

  // Each runs commands as fast as they are acknowledged. Under that load the leader is killed.
  cast.tell(founders, { type: "load", concurrency: CONCURRENCY });
  await Promise.all([cast.acknowledgements(COMMANDS), pause()]);
  const survivors = founders.filter((actor) => actor !== leader);
  const firstAfterKill = Promise.race(survivors.map((actor) => cast.heard("first-after-kill", [actor])));
  const killedMs = performance.now();
  cast.kill(leader);
  cast.tell(survivors, { type: "leader-killed" });
  show.set(leader.name, { state: "killed" });
  const killed = { type: "killed", leader: leaderId };
  show.say(`kill -9 of ${leader.name}, after ${count(acknowledged())} acknowledged commands`, killed, "bad");
  const [{ leader: nextId }] = await firstAfterKill;
  const failoverMs = sinceMs(killedMs);
  const recovered = { type: "recovered", failoverMs, leader: nextId };
  show.say(`${actorOf(nextId).name} leads; commands go on after ${seconds(failoverMs)}`, recovered, "good");
  await pause();

  // A process that nobody has heard of takes the dead one's place.
  const replacementMs = await replace(leader, survivors, nextId);
  await Promise.all([cast.acknowledgements(COMMANDS), pause()]);
  return { formationMs, failoverMs, replacementMs };
}

function start(...names: readonly string[]): Promise<readonly Actor[]> {
  for (const name of names) show.set(name, { state: "starting" });
  return cast.start(...names);
}

/** Gives the time from the newcomer's `join` to its vote. */
async function replace(dead: Actor, survivors: readonly Actor[], leaderId: string): Promise<number> {
  const [dan] = (await start("dan")) as [Actor];
  const joinedMs = performance.now();
  const votes = cast.heard("view", [dan], ({ role, voters }) => role === "voter" && !voters.includes(dead.peer));
  const join = { type: "join", bootstrap: survivors.map(({ address }) => address) } as const;
  const caughtUp = cast.ask([dan], join, "online").then(() => {
    show.say(`dan joins, and has caught up after ${seconds(sinceMs(joinedMs))}`, { type: "joined", peer: dan.peer });
    cast.tell([dan], { type: "load", concurrency: CONCURRENCY });
  });
  await Promise.all([caughtUp, votes]);
  const replacementMs = sinceMs(joinedMs);
  const replaced = { type: "replaced", replacementMs, peer: dan.peer, leader: leaderId };
  show.say(`dan votes in ${dead.name}'s place, after ${seconds(replacementMs)}`, replaced, "good");
  return replacementMs;
}

/** The load ends, each living member says what it holds, and that is compared with what was acknowledged to anybody. */
async function conclude(times: Times): Promise<Verdict> {
  const living = cast.actors.filter((actor) => !actor.isExpectedToEnd);
  await cast.ask(living, { type: "stop-load" }, "load-stopped");
  const reports = await cast.ask(living, { type: "report" }, "report");
  const ledgers = reports.map(({ counts }) => ({ ...counts }));
  if (deleteOne) deleteFirst(ledgers[0] ?? {}, living);
  const verdict = judge(cast.actors, ledgers);
  const { lost, duplicated, unknownApplied, foreign, areEqual } = verdict;
  show.conclude({ lost, duplicated, isGood: isGood(verdict) });
  for (const actor of living) actor.isExpectedToEnd = true;
  await cast.ask(living, { type: "close" }, "closed");

  const tally = `${count(verdict.acknowledged)} acknowledged: ${lost} lost, ${duplicated} duplicated`;
  const fields = { type: "verdict", isGood: isGood(verdict), foreign, areEqual };
  if (isGood(verdict)) show.say(`${tally}; ${namesOf(living)} are equal`, fields, "good");
  else show.say(`NOT GOOD: ${tally}; ${foreign} that nobody sent; equal: ${areEqual}`, fields, "bad");
  show.end();
  console.log(JSON.stringify({ acknowledged: verdict.acknowledged, lost, duplicated, unknownApplied, ...times }));
  return verdict;
}

function deleteFirst(ledger: Record<string, number>, [actor]: readonly Actor[]): void {
  const [number] = actor?.acknowledged ?? [];
  if (actor !== undefined && number !== undefined) delete ledger[idOf(actor.name, number)];
}

function showNews(to: Show, { name }: Actor, news: News): void {
  if (news.type === "listening") to.set(name, { state: "alive" });
  if (news.type === "view") to.set(name, { view: news });
  if (news.type === "acknowledged") to.acknowledged(name, news.numbers.length);
}

function actorOf(peer: string): Actor {
  const actor = cast.actors.find((one) => one.peer === peer);
  if (actor === undefined) throw new Error(`${peer} is none of ours`);
  return actor;
}

function idsOf(actors: readonly Actor[]): string[] {
  return actors.map(({ peer }) => peer);
}

function namesOf(actors: readonly Actor[]): string {
  return actors.map(({ name }) => name).join(", ");
}

function acknowledged(): number {
  return cast.actors.reduce((sum, actor) => sum + actor.acknowledged.size, 0);
}

function sinceMs(startMs: number): number {
  return Math.round(performance.now() - startMs);
}

async function pause(): Promise<void> {
  if (isLive) await sleep(LIVE_PAUSE_MS);
}

function quit(code: number): never {
  show.end();
  for (const actor of cast.actors) cast.kill(actor);
  process.exit(code);
}

function options(): { json: boolean; deleteOne: boolean } {
  try {
    const { values } = parseArgs({ options: { json: { type: "boolean" }, "delete-one": { type: "boolean" } } });
    return { json: values.json === true, deleteOne: values["delete-one"] === true };
  } catch (error) {
    console.error(`${(error as Error).message}\nusage: npm run demo [-- --json] [-- --delete-one]`);
    process.exit(2);
  }
}

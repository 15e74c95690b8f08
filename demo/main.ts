/**
 * The demo: three processes become a cluster, lose their leader to `kill -9` under load, go on, and show that nothing was lost or doubled.
 *
 *   npm run demo [-- --json] [-- --delete-one]
 *
 * `--delete-one` removes one acknowledged id from what the first survivor reports, to show that the check would see it.
 */
import { type ChildProcess, fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { News, Order } from "./protocol.ts";
import { idOf } from "./protocol.ts";
import { isGood, judge } from "./verdict.ts";

const CONCURRENCY = 16;
const BEFORE_KILL_COMMANDS = 2_000;
const AFTER_KILL_COMMANDS = 2_000;
const STEP_TIMEOUT_MS = 30_000;

interface Node {
  readonly number: number;
  readonly process: ChildProcess;
  peer: string;
  address: string;
  upTo: number;
  readonly acknowledged: Set<number>;
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

const { json, deleteOne } = options();
const listeners = new Set<(node: Node, news: News) => void>();
const nodes: Node[] = [];

function say(text: string, fields: object): void {
  console.log(json ? JSON.stringify(fields) : text);
}

function start(number: number, secret: string): Node {
  const file = fileURLToPath(new URL("./node.ts", import.meta.url));
  const child = fork(file, [String(number)], { env: { ...process.env, DEMO_SECRET: secret } });
  const node: Node = { number, process: child, peer: "", address: "", upTo: 0, acknowledged: new Set() };
  child.on("message", (news: News) => {
    note(node, news);
    for (const listener of [...listeners]) listener(node, news);
  });
  return node;
}

function note(node: Node, news: News): void {
  if (news.type === "listening") Object.assign(node, { peer: news.peer, address: news.address });
  if (news.type === "issued") node.upTo = Math.max(node.upTo, news.upTo);
  if (news.type === "acknowledged") for (const number of news.numbers) node.acknowledged.add(number);
}

/** Resolves once each of `from` has said something that `fits`, with what they said. */
function heard<T extends News>(
  from: readonly Node[],
  fits: (news: News) => news is T,
  what: string,
): Promise<Map<Node, T>> {
  return new Promise((resolve, reject) => {
    const answers = new Map<Node, T>();
    const timer = setTimeout(
      () => done(() => reject(new Error(`no ${what} within ${STEP_TIMEOUT_MS} ms`))),
      STEP_TIMEOUT_MS,
    );
    const done = (settle: () => void): void => {
      clearTimeout(timer);
      listeners.delete(listener);
      settle();
    };
    const listener = (node: Node, news: News): void => {
      if (!from.includes(node) || !fits(news)) return;
      answers.set(node, news);
      if (answers.size === from.length) done(() => resolve(answers));
    };
    listeners.add(listener);
  });
}

function is<Type extends News["type"]>(type: Type): (news: News) => news is Extract<News, { type: Type }> {
  return (news): news is Extract<News, { type: Type }> => news.type === type;
}

function order(to: readonly Node[], what: Order): void {
  for (const node of to) node.process.send(what);
}

/** Resolves after this many more acknowledgements, from whomever. */
function acknowledgements(count: number): Promise<void> {
  let left = count;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`${left} of ${count} acknowledgements are missing`)),
      STEP_TIMEOUT_MS,
    );
    const listener = (_node: Node, news: News): void => {
      if (news.type !== "acknowledged" || --left > 0) return;
      clearTimeout(timer);
      listeners.delete(listener);
      resolve();
    };
    listeners.add(listener);
  });
}

async function run(): Promise<boolean> {
  const secret = randomBytes(24).toString("base64url");
  nodes.push(...[0, 1, 2].map((number) => start(number, secret)));
  await heard(nodes, is("listening"), "open port");
  say("three processes listen, each with a key of its own", {
    type: "listening",
    peers: nodes.map(({ peer }) => peer),
  });

  const joinedAt = performance.now();
  const online = heard(nodes, is("online"), "group");
  order(nodes, { type: "join", bootstrap: [nodes[0]?.address ?? ""] });
  const leaderId = [...(await online).values()][0]?.leader;
  const formationMs = Math.round(performance.now() - joinedAt);
  const leader = nodes.find(({ peer }) => peer === leaderId);
  if (leader === undefined) throw new Error("the leader is none of the three");
  say(`group formed in ${seconds(formationMs)}; node ${leader.number} leads`, {
    type: "formed",
    formationMs,
    leader: leaderId,
  });

  const loaded = acknowledgements(BEFORE_KILL_COMMANDS);
  order(nodes, { type: "load", concurrency: CONCURRENCY });
  await loaded;
  const survivors = nodes.filter((node) => node !== leader);
  const recovered = Promise.race(
    survivors.map((node) => heard([node], is("first-after-kill"), "write after the kill")),
  );
  const killedAt = performance.now();
  leader.process.kill("SIGKILL");
  order(survivors, { type: "killed" });
  say(`kill -9 of node ${leader.number} after ${acknowledged()} acknowledged commands`, {
    type: "killed",
    leader: leaderId,
  });
  const [next] = (await recovered).values();
  const failoverMs = Math.round(performance.now() - killedAt);
  say(`next acknowledged command after ${seconds(failoverMs)}`, {
    type: "recovered",
    failoverMs,
    leader: next?.leader,
  });

  await acknowledgements(AFTER_KILL_COMMANDS);
  const stopped = heard(survivors, is("load-stopped"), "end of the load");
  order(survivors, { type: "stop-load" });
  await stopped;
  return conclude(survivors, { formationMs, failoverMs });
}

async function conclude(
  survivors: readonly Node[],
  times: { formationMs: number; failoverMs: number },
): Promise<boolean> {
  const reported = heard(survivors, is("report"), "report");
  order(survivors, { type: "report" });
  const members = [...(await reported).values()].map(({ counts }) => ({ ...counts }));
  if (deleteOne) deleteFirst(members[0] ?? {}, survivors);
  const verdict = judge(
    nodes.map(({ number, upTo, acknowledged: numbers }) => ({ node: number, upTo, acknowledged: numbers })),
    members,
  );
  const closed = heard(survivors, is("closed"), "close");
  order(survivors, { type: "close" });
  await closed;
  const { lost, duplicated, unknownApplied, foreign, areEqual } = verdict;
  const good = isGood(verdict);
  if (!json) {
    console.log(
      `${verdict.acknowledged} acknowledged: ${lost} lost, ${duplicated} duplicated; ${unknownApplied} unacknowledged ones were applied, once each`,
    );
    if (!good) console.log(`NOT GOOD: ${foreign} ids that nobody sent; members equal: ${areEqual}`);
  }
  console.log(JSON.stringify({ acknowledged: verdict.acknowledged, lost, duplicated, unknownApplied, ...times }));
  return good;
}

function deleteFirst(counts: Record<string, number>, survivors: readonly Node[]): void {
  const node = survivors[0];
  const [number] = node?.acknowledged ?? [];
  if (node !== undefined && number !== undefined) delete counts[idOf(node.number, number)];
}

function acknowledged(): number {
  return nodes.reduce((sum, node) => sum + node.acknowledged.size, 0);
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`;
}

let code = 3;
try {
  code = (await run()) ? 0 : 1;
} catch (error) {
  console.error(error);
} finally {
  for (const node of nodes) node.process.kill("SIGKILL");
}
process.exit(code);

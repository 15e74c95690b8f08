/** One process of the torture: a peer with a data directory, a member of the group, and a port where clients call. */
import { createServer } from "node:net";
import { inspect } from "node:util";
import { type Group, type Logger, MosaikError, Network } from "../../src/index.ts";
import { onLines, writeLine } from "./lines.ts";
import { TortureMachine } from "./machine.ts";
import {
  type Answers,
  type Call,
  type FromMember,
  GROUP,
  isList,
  MEMBERS,
  type MemberInit,
  type Question,
  type Reply,
  STORAGE_EXIT,
  type View,
} from "./protocol.ts";

const TIMEOUT_MS = 3_000;

const init = JSON.parse(process.argv[2] ?? "{}") as MemberInit;
const tell = (news: FromMember): void => void process.send?.(news);
// What outlives its harness helps nobody.
process.on("disconnect", () => process.exit(0));

const network = await Network.create("torture", {
  secret: init.secret,
  listen: init.listen,
  advertise: init.advertise,
  bootstrap: init.bootstrap,
  dataDir: init.dataDir,
  logger: loggerToStderr(),
});
const group: Group<typeof TortureMachine> = network.groups.join(GROUP, {
  machine: TortureMachine,
  expect: MEMBERS,
  timeoutMs: TIMEOUT_MS,
  tuning: { removeDeadAfterMs: 4_000, promoteAfterMs: 500 },
});
void group.closed.then((cause) => end(cause));
process.on("message", (asked: Question & { readonly id: number }) => void answer(asked));
await serve();
tell({ type: "listening", peer: network.peerId });

function end(cause: MosaikError | undefined): void {
  if (cause === undefined) return;
  console.error(
    JSON.stringify({ clockMs: clockMs(), level: "fatal", code: cause.code, cause: inspect(cause, { depth: 6 }) }),
  );
  process.exit(MosaikError.is(cause, "storage-failed") ? STORAGE_EXIT : 1);
}

function serve(): Promise<void> {
  const server = createServer((socket) => {
    socket.setNoDelay(true);
    socket.on("error", () => {});
    onLines(socket, (line) => {
      const call = line as Call;
      void perform(call).then((reply) => writeLine(socket, reply));
    });
  });
  return new Promise((resolve) => server.listen(init.serve.port, init.serve.host, resolve));
}

async function perform(call: Call): Promise<Reply> {
  try {
    return { id: call.id, outcome: "ok", output: await operate(call) };
  } catch (error) {
    if (!MosaikError.is(error)) throw error;
    // A read has no effect, whatever became of it. `undefined`: no effect was possible; if that is a lie, the history tells.
    const isOpen = call.op !== "read" && (error.outcome === "unknown" || error.outcome === "applied");
    return { id: call.id, outcome: isOpen ? "unknown" : "fail", output: null };
  }
}

async function operate({ op, key, input }: Call): Promise<unknown> {
  switch (op) {
    case "read":
      return (await group.query(isList(key) ? { list: key } : { register: key })).result;
    case "write":
      return (await group.execute({ write: { key, value: input as number } })).result;
    case "append":
      return (await group.execute({ append: { key, element: input as number } })).result;
    case "cas": {
      const { expected, new: next } = input as { expected: number | null; new: number };
      return (await group.execute({ cas: { key, expected, new: next } })).result;
    }
  }
}

async function answer(asked: Question & { readonly id: number }): Promise<void> {
  try {
    tell({ type: "answer", id: asked.id, answer: await answerOf(asked) });
  } catch (error) {
    tell({ type: "answer", id: asked.id, error: String(error) });
  }
  if (asked.ask === "close") process.disconnect();
}

async function answerOf(asked: Question): Promise<Answers[Question["ask"]]> {
  switch (asked.ask) {
    case "view":
      return view();
    case "digest":
      await group.when.reaches(asked.position, { signal: AbortSignal.timeout(30_000) });
      return (await group.query("digest", { consistency: "weak" })).result;
    case "pad":
      return pad(asked.count, "x".repeat(asked.bytes));
    case "close":
      await network.close();
      return null;
  }
}

function view(): View {
  const { state, leader, position, members } = group;
  const voters = members.filter(({ role }) => role === "voter").map(({ id }) => id);
  const [inside] = network.inspect().groups as readonly { readonly isFull: boolean }[];
  return { peer: network.peerId, state, leader, position, voters, isFull: inside?.isFull === true };
}

async function pad(count: number, filling: string): Promise<Answers["pad"]> {
  const errors: Record<string, number> = {};
  let done = 0;
  for (let i = 0; i < count; i++) {
    try {
      await group.execute({ pad: filling });
      done++;
    } catch (error) {
      if (!MosaikError.is(error)) throw error;
      errors[error.code] = (errors[error.code] ?? 0) + 1;
    }
  }
  return { done, errors };
}

/** The history's clock. */
function clockMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

/** The parent keeps it in a file. */
function loggerToStderr(): Logger {
  const write =
    (level: string) =>
    (fields: object, message: string): void => {
      console.error(JSON.stringify({ clockMs: clockMs(), level, message, ...fields }));
    };
  const quiet = (): void => {};
  const isDebug = process.env["MOSAIK_LOG"] === "debug";
  return { debug: isDebug ? write("debug") : quiet, info: write("info"), warn: write("warn"), error: write("error") };
}

import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { News, Order } from "./protocol.ts";

const STEP_TIMEOUT_MS = 30_000;
const NODE = fileURLToPath(new URL("./node.ts", import.meta.url));

/** One process, and what the director knows of it. */
export interface Actor {
  readonly name: string;
  readonly process: ChildProcess;
  peer: string;
  address: string;
  /** Its commands 1 to this may have been sent. */
  upTo: number;
  readonly acknowledged: Set<number>;
  isExpectedToEnd: boolean;
}

type Listener = (actor: Actor, news: News) => void;
type Of<Type extends News["type"]> = Extract<News, { type: Type }>;

/** The processes of the demo: started, told what to do, listened to, and killed. */
export class Cast {
  readonly actors: Actor[] = [];
  /** What the processes wrote to their standard error. */
  complaints = "";
  readonly #secret: string;
  readonly #listeners = new Set<Listener>();
  readonly #waits = new Set<(error: Error) => void>();
  #failure: Error | undefined;

  constructor(secret: string, onNews: Listener) {
    this.#secret = secret;
    this.#listeners.add(onNews);
  }

  /** Resolves once they all listen. */
  async start(...names: readonly string[]): Promise<readonly Actor[]> {
    const started = names.map((name) => this.#spawn(name));
    await this.heard("listening", started);
    return started;
  }

  /** Tells these, and resolves once each has said `answer` after that, with what they said. */
  ask<Type extends News["type"]>(
    actors: readonly Actor[],
    order: Order,
    answer: Type,
  ): Promise<readonly [Of<Type>, ...Of<Type>[]]> {
    const answers = this.heard(answer, actors);
    this.tell(actors, order);
    return answers;
  }

  tell(actors: readonly Actor[], order: Order): void {
    for (const actor of actors) actor.process.send(order);
  }

  /** Resolves once each of these has said it, in their order. */
  heard<Type extends News["type"]>(
    type: Type,
    actors: readonly Actor[],
    fits: (news: Of<Type>) => boolean = () => true,
  ): Promise<readonly [Of<Type>, ...Of<Type>[]]> {
    const answers = new Map<Actor, Of<Type>>();
    return this.#until(`${type} from ${actors.map(({ name }) => name).join(", ")}`, (actor, news) => {
      if (news.type === type && actors.includes(actor) && fits(news as Of<Type>)) answers.set(actor, news as Of<Type>);
      if (answers.size < actors.length) return undefined;
      return actors.map((each) => answers.get(each)) as [Of<Type>, ...Of<Type>[]];
    });
  }

  /** Resolves after so many more acknowledgements, from whomever. */
  acknowledgements(count: number): Promise<void> {
    let left = count;
    return this.#until(`${count} acknowledgements`, (_, news) => {
      if (news.type === "acknowledged") left -= news.numbers.length;
      return left <= 0 ? "enough" : undefined;
    }).then(() => undefined);
  }

  /** As a crash does: no goodbye, nothing flushed. */
  kill(actor: Actor): void {
    actor.isExpectedToEnd = true;
    actor.process.kill("SIGKILL");
  }

  #spawn(name: string): Actor {
    const child = fork(NODE, [name], {
      env: { ...process.env, DEMO_SECRET: this.#secret },
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    const actor: Actor = {
      name,
      process: child,
      peer: "",
      address: "",
      upTo: 0,
      acknowledged: new Set(),
      isExpectedToEnd: false,
    };
    child.stderr?.on("data", (text) => {
      this.complaints += text;
    });
    child.on("message", (news: News) => this.#onNews(actor, news));
    child.on("exit", (code, signal) => {
      if (actor.isExpectedToEnd) return;
      this.#failure ??= new Error(`${name} ended by itself, with ${signal ?? code}`);
      for (const fail of [...this.#waits]) fail(this.#failure);
    });
    this.actors.push(actor);
    return actor;
  }

  #onNews(actor: Actor, news: News): void {
    if (news.type === "listening") Object.assign(actor, { peer: news.peer, address: news.address });
    if (news.type === "reserved") actor.upTo = news.upTo;
    if (news.type === "acknowledged") for (const number of news.numbers) actor.acknowledged.add(number);
    for (const listener of [...this.#listeners]) listener(actor, news);
  }

  #until<T>(what: string, look: (actor: Actor, news: News) => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#listeners.delete(listener);
        this.#waits.delete(fail);
      };
      const listener: Listener = (actor, news) => {
        const found = look(actor, news);
        if (found === undefined) return;
        end();
        resolve(found);
      };
      const fail = (error: Error): void => {
        end();
        reject(error);
      };
      const timer = setTimeout(() => fail(new Error(`no ${what} within ${STEP_TIMEOUT_MS} ms`)), STEP_TIMEOUT_MS);
      this.#listeners.add(listener);
      this.#waits.add(fail);
      if (this.#failure !== undefined) fail(this.#failure);
    });
  }
}

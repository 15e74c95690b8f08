/**
 * One process at a time on a data directory.
 *
 * Node has no `flock`. Here each process listens on a Unix socket of its own in the directory, and only then looks for others: who answers
 * is alive, who refuses is dead, and its socket is removed. Of two processes the one that bound later looks when the other listens, so
 * both never hold the directory; the worst that can happen is that both give way, and try again. The kernel closes the socket of a process
 * that is killed, a stopped one still answers, and containers that share the directory meet, since a socket has a place in the file system,
 * not in a network namespace. Windows has no such sockets: there it is one pipe by the name of the directory.
 */
import { closeSync, existsSync, openSync, readdirSync, realpathSync, unlinkSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { type Env, mosaikError } from "../../env/index.ts";
import { hash } from "../../identity/index.ts";
import { codeOf } from "./file-system.ts";

const NAME = /^lock-[0-9a-f]{8}\.sock$/;
/** Longer paths are cut, silently, by the kernel's structure (108 bytes on Linux, 104 elsewhere). */
const SOCKET_PATH_BYTES_MAX = 100;
/** When two begin at once, both give way and try again. */
const ATTEMPTS = 4;
const PAUSE_MS = { from: 20, to: 120 };

export interface DirectoryLock {
  release(): Promise<void>;
}

/** @throws `data-dir-locked` while another has it, in this process or another; `storage-failed` if no lock can be had here at all */
export async function lockDirectory(env: Env, directory: string): Promise<DirectoryLock> {
  const locked = mosaikError("data-dir-locked", "the data directory is in use", { details: { path: directory } });
  try {
    if (process.platform === "win32") return await lockPipe(directory, locked);
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const lock = await lockSocket(env, directory);
      if (lock !== undefined) return lock;
      if (attempt === ATTEMPTS) break;
      await new Promise<void>((resolve) =>
        env.after(PAUSE_MS.from + env.random.below(PAUSE_MS.to - PAUSE_MS.from), resolve),
      );
    }
  } catch (cause) {
    if (cause === locked) throw cause;
    throw mosaikError("storage-failed", "the data directory cannot be locked", { details: { path: directory }, cause });
  }
  throw locked;
}

/** Undefined: somebody else is there. */
async function lockSocket(env: Env, directory: string): Promise<DirectoryLock | undefined> {
  const folder = socketFolder(directory);
  const name = `lock-${env.random.uint32().toString(16).padStart(8, "0")}.sock`;
  try {
    const server = await listen(`${folder.path}/${name}`);
    const release = async (): Promise<void> => {
      // Node removes the socket's file.
      await new Promise<void>((resolve) => server.close(() => resolve()));
      folder.close();
    };
    const others = readdirSync(directory).filter((other) => NAME.test(other) && other !== name);
    const isTaken = (await Promise.all(others.map((other) => isAlive(`${folder.path}/${other}`)))).some(Boolean);
    // Somebody who looked at our socket between its birth and its first `listen` took it for a dead one's.
    if (!isTaken && existsSync(`${directory}/${name}`)) return { release };
    await release();
    return undefined;
  } catch (cause) {
    folder.close();
    throw cause;
  }
}

/** True if somebody listens there. Else the socket is removed: nobody will ever listen there again, since names are random. */
async function isAlive(path: string): Promise<boolean> {
  const code = await new Promise<string | undefined>((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.once("error", (cause) => resolve(codeOf(cause) ?? "EIO"));
  });
  if (code === "ENOENT") return false;
  // A full queue, or no right to connect: it is there.
  if (code !== "ECONNREFUSED") return true;
  try {
    unlinkSync(path);
  } catch (cause) {
    if (codeOf(cause) !== "ENOENT") throw cause;
  }
  return false;
}

function listen(path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", reject);
    server.listen(path, () => {
      server.unref();
      resolve(server);
    });
  });
}

/** The directory, under a name that is short enough for a socket's path. */
function socketFolder(directory: string): { readonly path: string; close(): void } {
  const path = realpathSync(directory);
  if (Buffer.byteLength(path) + 20 <= SOCKET_PATH_BYTES_MAX) return { path, close: () => {} };
  if (process.platform !== "linux") throw new RangeError(`the path is too long for a socket: ${path}`);
  const descriptor = openSync(path, "r");
  let isOpen = true;
  return {
    path: `/proc/self/fd/${descriptor}`,
    close: () => {
      if (isOpen) closeSync(descriptor);
      isOpen = false;
    },
  };
}

async function lockPipe(directory: string, locked: Error): Promise<DirectoryLock> {
  const name = hash("mosaik data directory", realpathSync(directory).toLowerCase());
  try {
    const server = await listen(`\\\\.\\pipe\\mosaik-${name}`);
    return { release: () => new Promise<void>((resolve) => server.close(() => resolve())) };
  } catch (cause) {
    if (codeOf(cause) === "EADDRINUSE") throw locked;
    throw cause;
  }
}

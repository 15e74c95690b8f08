/** A NATS server with its defaults over plain TCP, as a peer: the Debian package `nats-server`, and `nats` from npm. */
import { spawn } from "node:child_process";
import type { Hosts, Part } from "./hosts.ts";
import { debianProgram, ended, freePorts, npmPackage } from "./installed.ts";

const CLIENT_VERSION = "2.29.3";

export interface Nats {
  /** With the versions of server and client. */
  readonly name: string;
  readonly near: Part;
  readonly far: Part;
  stop(): Promise<void>;
}

/** The server, and a process for each of both ends. @throws MissingPeer */
export async function startNats(hosts: Hosts): Promise<Nats> {
  const program = debianProgram("nats-server", ["sbin", "nats-server"], /: v(\S+)/);
  const folder = npmPackage("nats", CLIENT_VERSION);
  const [port] = await freePorts(1);
  const server = spawn(program.path, ["--addr", "127.0.0.1", "--port", String(port)], { stdio: "ignore" });
  try {
    const end = async (): Promise<Part> => hosts.start().make("nats", "NatsEnd", { folder, port });
    const near = await end();
    const far = await end();
    return { name: `nats-server ${program.version} + nats ${CLIENT_VERSION}`, near, far, stop: () => ended(server) };
  } catch (error) {
    await ended(server);
    throw error;
  }
}

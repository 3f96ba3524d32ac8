// A client of Redis, as much of RESP 2 (Redis's manual, "Redis serialization protocol specification") as has replies of one line.

import { connect } from "node:net";

const TIMEOUT = 5_000; // ms, for a reply, and for a connection

// The server cannot be reached, did not answer in time, or refused a command.
export class RedisError extends Error {}

// One connection, opened when there is something to say and given up when it fails.
export class Redis {
  #url;
  #connection = null;

  constructor(url) {
    this.#url = new URL(url);
  }

  // The reply to a command; nothing is tried a second time.
  async command(...words) {
    if (!this.#connection || this.#connection.lost) this.#connection = this.#opened();
    const connection = this.#connection;
    await connection.ready; // before that, another user would say it, or to another database
    return connection.send(...words);
  }

  close() {
    this.#connection?.lose("the client was closed");
  }

  // A connection, which is ready when its first commands are answered.
  #opened() {
    const { hostname, port, username, password, pathname } = this.#url;
    const connection = new Connection(hostname.replace(/^\[|\]$/g, ""), Number(port || 6379));
    const first = [];
    if (password) first.push(["AUTH", ...(username ? [decodeURIComponent(username)] : []), decodeURIComponent(password)]);
    if (pathname.length > 1) first.push(["SELECT", pathname.slice(1)]);
    connection.ready = Promise.all(first.map((words) => connection.send(...words)));
    connection.ready.catch((error) => connection.lose(error.message));
    return connection;
  }
}

class Connection {
  #socket;
  #pending = [];
  #rest = "";
  ready = null;
  lost = null; // why it can be used no more

  constructor(host, port) {
    this.#socket = connect({ host, port }).setNoDelay().setKeepAlive(true).setEncoding("utf-8");
    this.#socket.on("data", (chunk) => this.#receive(chunk));
    this.#socket.on("error", (error) => this.lose(error.message));
    this.#socket.on("end", () => this.lose("the server closed the connection"));
    this.#socket.on("close", () => this.lose("the connection is closed"));
  }

  send(...words) {
    return new Promise((resolve, reject) => {
      if (this.lost) throw new RedisError(this.lost);
      const timer = setTimeout(() => this.lose("the server did not answer in time"), TIMEOUT);
      this.#pending.push({ resolve, reject, timer });
      this.#socket.write(`*${words.length}\r\n` + words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join(""));
    });
  }

  lose(reason) {
    this.lost ??= reason;
    this.#socket.destroy();
    for (const { reject, timer } of this.#pending.splice(0)) {
      clearTimeout(timer);
      reject(new RedisError(this.lost));
    }
  }

  #receive(chunk) {
    const lines = (this.#rest + chunk).split("\r\n");
    this.#rest = lines.pop();
    for (const line of lines) {
      const waiting = this.#pending.shift();
      if (!waiting) return this.lose("the server answered what it was not asked");
      clearTimeout(waiting.timer);
      if (line.startsWith("-")) waiting.reject(new RedisError(line.slice(1)));
      else waiting.resolve(line.slice(1));
    }
  }
}

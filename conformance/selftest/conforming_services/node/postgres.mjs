// A client of PostgreSQL, protocol 3.0 (PostgreSQL's manual, "Frontend/Backend Protocol"): a pool of sessions, and rows as JSON texts.

import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from "node:crypto";
import { connect } from "node:net";
import { promisify } from "node:util";

const PROTOCOL = 3 << 16;
const CONNECT_TIMEOUT = 10_000; // ms, until a session is ready
const OID = {
  bool: 16, int8: 20, int2: 21, int4: 23, json: 114, float4: 700, float8: 701,
  timestamp: 1114, timestamptz: 1184, numeric: 1700, jsonb: 3802,
}; // pg_type.dat

// The database cannot be reached, ended the session, or refused what it was asked.
export class DatabaseError extends Error {}

// Sessions that are open from the start; one that was lost is replaced when it is needed.
export class Pool {
  #idle = [];
  #waiting = [];
  #open = 0;

  constructor(url, size) {
    this.url = url;
    this.size = size;
  }

  static async open(url, size) {
    const pool = new Pool(url, size);
    const sessions = await Promise.all(Array.from({ length: size }, () => pool.#take()));
    for (const session of sessions) pool.#give(session);
    return pool;
  }

  // The rows that a statement gives for the integer $1, each as the text of a JSON object.
  async query(statement, integer) {
    const session = await this.#take();
    try {
      return await session.query(statement, integer);
    } finally {
      this.#give(session);
    }
  }

  // Say goodbye to every session, once those at work are done.
  async close() {
    this.size = 0;
    while (this.#open) {
      const session = this.#idle.pop();
      if (session) {
        await session.close();
        this.#open -= 1;
      } else {
        await new Promise((resolve) => this.#waiting.push(resolve));
      }
    }
  }

  async #take() {
    for (;;) {
      while (this.#idle.length) {
        const session = this.#idle.pop();
        if (!session.lost) return session;
        this.#open -= 1;
      }
      if (this.#open < this.size) return this.#opened();
      await new Promise((resolve) => this.#waiting.push(resolve));
    }
  }

  async #opened() {
    this.#open += 1;
    try {
      return await Session.open(this.url);
    } catch (error) {
      this.#open -= 1;
      this.#waiting.shift()?.();
      throw error;
    }
  }

  #give(session) {
    if (session.lost) this.#open -= 1;
    else this.#idle.push(session);
    this.#waiting.shift()?.();
  }
}

class Session {
  #socket;
  #rest = Buffer.alloc(0);
  #inbox = [];
  #wake = () => {};
  lost = null; // why it can be used no more

  constructor(socket) {
    this.#socket = socket;
    socket.setNoDelay().setKeepAlive(true);
    socket.on("data", (chunk) => this.#receive(chunk));
    socket.on("error", (error) => this.#lose(error.message));
    socket.on("end", () => this.#lose("the database closed the connection"));
    socket.on("close", () => this.#lose("the connection is closed"));
  }

  static async open(url) {
    const { hostname, port, username, password, pathname } = new URL(url);
    const session = new Session(connect({ host: hostname.replace(/^\[|\]$/g, ""), port: Number(port || 5432) }));
    const timer = setTimeout(() => session.#lose("the database did not answer in time"), CONNECT_TIMEOUT);
    try {
      const user = decodeURIComponent(username);
      await session.#start(user, decodeURIComponent(password), decodeURIComponent(pathname.slice(1)) || user);
    } catch (error) {
      session.#lose(error.message);
      throw error;
    } finally {
      clearTimeout(timer);
    }
    return session;
  }

  async query(statement, integer) {
    // The unnamed statement is parsed anew each time, so no plan outlives a change of the table.
    this.#send(
      message("P", text(""), text(statement), int16(1), int32(OID.int4)),
      message("B", text(""), text(""), int16(0), int16(1), sized(Buffer.from(String(integer))), int16(0)),
      message("D", Buffer.from("P"), text("")),
      message("E", text(""), int32(0)),
      message("S"),
    );
    let columns = [], failure = null;
    const rows = [];
    for (;;) {
      const { type, content } = await this.#next();
      if (type === "T") columns = described(content);
      else if (type === "D") rows.push(rowText(columns, content));
      else if (type === "E") failure = refused(content);
      else if (type === "Z") break;
    }
    if (failure) throw failure;
    return rows;
  }

  async close() {
    if (this.lost) return;
    const closed = new Promise((resolve) => this.#socket.once("close", resolve));
    this.#socket.end(message("X"));
    await closed;
  }

  // Log in, and wait until the session is ready.
  async #start(user, password, database) {
    const settings = { user, database, client_encoding: "UTF8", DateStyle: "ISO", TimeZone: "UTC", extra_float_digits: "1" };
    const words = Object.entries(settings).flat().map(text);
    this.#send(sized(Buffer.concat([int32(PROTOCOL), ...words, Buffer.alloc(1)]), 4));
    for (;;) {
      const { type, content } = await this.#next();
      if (type === "R") await this.#authenticate(content, user, password);
      else if (type === "E") throw refused(content);
      else if (type === "Z") return;
    }
  }

  async #authenticate(content, user, password) {
    switch (content.readInt32BE(0)) {
      case 0: // it is done, or was not asked for
        return;
      case 3:
        this.#send(message("p", text(password)));
        return;
      case 5:
        this.#send(message("p", text("md5" + md5(Buffer.from(md5(Buffer.from(password + user))), content.subarray(4)))));
        return;
      case 10:
        await this.#scram(content.toString("utf-8", 4).split("\0"), password);
        return;
      default:
        throw new DatabaseError("the database wants a password in a way that is not known here");
    }
  }

  // SCRAM-SHA-256, RFC 5802 and RFC 7677, without channel binding.
  async #scram(mechanisms, password) {
    if (!mechanisms.includes("SCRAM-SHA-256")) throw new DatabaseError("the database does not offer SCRAM-SHA-256");
    const nonce = randomBytes(18).toString("base64");
    const first = `n=,r=${nonce}`;
    this.#send(message("p", text("SCRAM-SHA-256"), sized(Buffer.from("n,," + first))));
    const challenge = await this.#said(11);
    const { r, s, i } = attributes(challenge);
    if (!r.startsWith(nonce)) throw new DatabaseError("the database answered to somebody else's login");
    const salted = await promisify(pbkdf2)(password.normalize("NFKC"), Buffer.from(s, "base64"), Number(i), 32, "sha256");
    const key = hmac(salted, "Client Key");
    const final = `c=biws,r=${r}`;
    const signed = `${first},${challenge},${final}`;
    const signature = hmac(createHash("sha256").update(key).digest(), signed);
    const proof = key.map((byte, index) => byte ^ signature[index]).toString("base64");
    this.#send(message("p", Buffer.from(`${final},p=${proof}`)));
    const verifier = Buffer.from(attributes(await this.#said(12)).v ?? "", "base64");
    const right = hmac(hmac(salted, "Server Key"), signed);
    if (verifier.length !== right.length || !timingSafeEqual(verifier, right)) {
      throw new DatabaseError("the database does not know the password itself");
    }
  }

  // What an authentication message of this kind says.
  async #said(kind) {
    const { type, content } = await this.#next();
    if (type === "E") throw refused(content);
    if (type !== "R" || content.readInt32BE(0) !== kind) throw new DatabaseError("the database went on otherwise than SCRAM does");
    return content.toString("utf-8", 4);
  }

  #send(...messages) {
    this.#socket.write(Buffer.concat(messages));
  }

  async #next() {
    while (!this.#inbox.length) {
      if (this.lost) throw new DatabaseError(this.lost);
      await new Promise((resolve) => (this.#wake = resolve));
    }
    return this.#inbox.shift();
  }

  #receive(chunk) {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= 5 && this.#rest.length > this.#rest.readInt32BE(1)) {
      const end = 1 + this.#rest.readInt32BE(1);
      this.#inbox.push({ type: String.fromCharCode(this.#rest[0]), content: this.#rest.subarray(5, end) });
      this.#rest = this.#rest.subarray(end);
    }
    this.#wake();
  }

  #lose(reason) {
    this.lost ??= reason;
    this.#socket.destroy();
    this.#wake();
  }
}

// Rows

function described(content) {
  const columns = [];
  let at = 2;
  for (let left = content.readInt16BE(0); left > 0; left -= 1) {
    const end = content.indexOf(0, at);
    columns.push({ name: content.toString("utf-8", at, end), type: content.readInt32BE(end + 7) });
    at = end + 19;
  }
  return columns;
}

function rowText(columns, content) {
  let at = 2;
  const members = columns.map(({ name, type }) => {
    const size = content.readInt32BE(at);
    const value = size < 0 ? null : content.toString("utf-8", at + 4, at + 4 + size);
    at += 4 + Math.max(size, 0);
    return `${JSON.stringify(name)}:${valueText(type, value)}`;
  });
  return `{${members.join(",")}}`;
}

// A value as JSON; what Postgres writes of a number is one in JSON too, and never passes through a number of JavaScript's.
function valueText(type, value) {
  if (value === null) return "null";
  switch (type) {
    case OID.bool:
      return String(value === "t");
    case OID.int2: case OID.int4: case OID.int8: case OID.json: case OID.jsonb:
      return value;
    case OID.float4: case OID.float8: case OID.numeric:
      return /^-?(NaN|Infinity)$/.test(value) ? "null" : value;
    case OID.timestamp: case OID.timestamptz:
      return JSON.stringify(value.replace(" ", "T").replace(/\+00$/, "+00:00"));
    default:
      return JSON.stringify(value);
  }
}

// Messages

const int16 = (number) => Buffer.from([number >> 8, number]);
const int32 = (number) => Buffer.from([number >> 24, number >> 16, number >> 8, number]);
const text = (string) => Buffer.from(string + "\0");
const sized = (content, own = 0) => Buffer.concat([int32(content.length + own), content]); // some lengths count themselves
const message = (type, ...parts) => Buffer.concat([Buffer.from(type), sized(Buffer.concat(parts), 4)]);

const hmac = (key, data) => createHmac("sha256", key).update(data).digest();
const md5 = (...parts) => createHash("md5").update(Buffer.concat(parts)).digest("hex");
const attributes = (words) => Object.fromEntries(words.split(",").map((word) => [word[0], word.slice(2)]));

function refused(content) {
  const fields = Object.fromEntries(content.toString("utf-8").split("\0").map((field) => [field[0], field.slice(1)]));
  return new DatabaseError(`${fields.S} ${fields.C}: ${fields.M}`);
}

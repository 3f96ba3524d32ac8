// The service in JavaScript, on Node alone: routes and lifecycle.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";

import { Submissions, whyItCannotBeQueued } from "./celery.mjs";
import { DatabaseError, Pool } from "./postgres.mjs";
import { RedisError } from "./redis.mjs";
import { ExternalData, UpstreamError } from "./upstream.mjs";

const { DATABASE_URL, REDIS_URL, CELERY_BROKER_URL = REDIS_URL, EXTERNAL_DATA_URL, HOST = "127.0.0.1", PORT = "8000" } = process.env;
const SESSIONS = 10;
const ID_MIN = -(2n ** 31n), ID_MAX = 2n ** 31n - 1n; // items.id is a Postgres integer
const OPENAPI = readFileSync(new URL("openapi.json", import.meta.url), "utf-8");

// What is answered otherwise than by success: thrown by a handler, or made of what was thrown below it.
class Refusal extends Error {
  constructor(status, detail, headers = {}) {
    super();
    Object.assign(this, { status, headers, text: JSON.stringify({ detail }) });
  }

  static invalid(loc, type, msg) {
    return new Refusal(422, [{ type, loc, msg }]);
  }

  static of(error) {
    if (error instanceof Refusal) return error;
    if (error instanceof UpstreamError) return new Refusal(error.status, error.message);
    console.error(error);
    if (error instanceof DatabaseError) return new Refusal(503, "the database is not available");
    if (error instanceof RedisError) return new Refusal(503, "the task queue is not available");
    return new Refusal(500, "Internal Server Error");
  }
}

// Handlers: each takes a request's parts and gives the JSON text of its answer.

const readSync = () => JSON.stringify({ message: "This is a synchronous endpoint" });
const readAsync = async () => JSON.stringify({ message: "This is an asynchronous endpoint" });
const readItems = ({ query }) => JSON.stringify({ q: query.getAll("q").at(-1) ?? null });
const getExternalData = ({ left }) => externalData.fetch(left);
const readOpenapi = () => OPENAPI;

async function readItem({ segment }) {
  const id = integer(segment);
  if (id === null) throw Refusal.invalid(["path", "item_id"], "int_parsing", "Input should be a valid integer");
  if (id < ID_MIN || id > ID_MAX) return '{"item":null}';
  const [row = "null"] = await items.query("SELECT * FROM items WHERE id = $1", id);
  return `{"item":${row}}`;
}

async function processData({ request }) {
  const text = await body(request);
  let data;
  try {
    data = JSON.parse(text);
  } catch {
    throw Refusal.invalid(["body"], "json_invalid", "JSON decode error");
  }
  if (data === null || typeof data !== "object" || Array.isArray(data)) {
    throw Refusal.invalid(["body"], "dict_type", "Input should be a valid dictionary");
  }
  const reason = whyItCannotBeQueued(text, data);
  if (reason) throw Refusal.invalid(["body"], "value_error", reason);
  return JSON.stringify({ message: "Task submitted", task_id: await submissions.submit(text) });
}

function integer(segment) {
  try {
    const text = decodeURIComponent(segment);
    return /^[+-]?\d+$/.test(text) ? BigInt(text.replace("+", "")) : null;
  } catch {
    return null; // what is percent-encoded is no UTF-8
  }
}

async function body(request) {
  const type = request.headers["content-type"] ?? "";
  if (!/^application\/json *(;|$)/i.test(type)) throw Refusal.invalid(["body"], "dict_type", "Input should be a valid dictionary");
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new Refusal(400, "There was an error parsing the body");
  }
}

// Routes

const ROUTES = [
  [/^\/sync$/, { GET: readSync }],
  [/^\/async$/, { GET: readAsync }],
  [/^\/items\/$/, { GET: readItems }],
  [/^\/items\/(?<segment>[^/]+)$/, { GET: readItem }],
  [/^\/external-data$/, { GET: getExternalData }],
  [/^\/process-data\/$/, { POST: processData }],
  [/^\/openapi\.json$/, { GET: readOpenapi }],
];

async function answer(request, left) {
  const [path] = request.url.split("?", 1);
  for (const [pattern, methods] of ROUTES) {
    const match = pattern.exec(path);
    if (!match) continue;
    const handler = methods[request.method];
    if (!handler) throw new Refusal(405, "Method Not Allowed", { Allow: Object.keys(methods).join(", ") });
    const query = new URLSearchParams(request.url.slice(path.length));
    return handler({ request, query, left, segment: match.groups?.segment });
  }
  throw new Refusal(404, "Not Found");
}

async function serve(request, response) {
  const gone = new AbortController();
  response.on("close", () => response.writableFinished || gone.abort());
  let status = 200, headers = {}, text;
  try {
    text = await answer(request, gone.signal);
  } catch (error) {
    if (gone.signal.aborted) return;
    ({ status, headers, text } = Refusal.of(error));
  }
  if (!server.listening) headers.Connection = "close";
  response.writeHead(status, { ...headers, "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text) });
  response.end(text);
}

// Lifecycle

console.log("Starting up...");
const items = await Pool.open(DATABASE_URL, SESSIONS);
const externalData = new ExternalData(EXTERNAL_DATA_URL);
const submissions = new Submissions(CELERY_BROKER_URL);

const inHand = new Map(); // how many requests of each connection's
const server = createServer((request, response) => {
  const { socket } = request;
  inHand.set(socket, inHand.get(socket) + 1);
  response.on("close", () => inHand.has(socket) && inHand.set(socket, inHand.get(socket) - 1));
  serve(request, response);
});
server.on("connection", (socket) => {
  inHand.set(socket, 0);
  socket.on("close", () => inHand.delete(socket));
});

const SIGNALS = ["SIGTERM", "SIGINT"];

async function stop() {
  for (const signal of SIGNALS) process.off(signal, stop); // the second one ends it at once
  const done = new Promise((resolve) => server.close(resolve));
  for (const [socket, requests] of inHand) if (!requests) socket.destroy(); // Node itself closes only those that had an answer
  await done;
  console.log("Shutting down...");
  await items.close();
  externalData.close();
  submissions.close();
}

for (const signal of SIGNALS) process.on(signal, stop);
server.listen(Number(PORT), HOST);

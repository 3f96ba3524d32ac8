// Celery's side of a submission: a message of protocol 2 (Celery's manual, "Message Protocol"), put where kombu's Redis transport takes it.

import { randomUUID } from "node:crypto";
import { hostname } from "node:os";

import { Redis } from "./redis.mjs";

const TASK = "background_task";
const QUEUE = "celery";
const DEPTH = 100; // levels of nesting; the worker's pickling gives up at some 300
const DIGITS = 4300; // of an integer; Python reads no longer one (sys.int_info.default_max_str_digits)
const ORIGIN = `${process.pid}@${hostname()}`;

// The queue, as one that submits sees it.
export class Submissions {
  #redis;

  constructor(url) {
    this.#redis = new Redis(url);
  }

  // Queue the text of a JSON object, as it is, and give the task's id once the broker has it.
  async submit(data) {
    const id = randomUUID();
    await this.#redis.command("LPUSH", QUEUE, message(id, data));
    return id;
  }

  close() {
    this.#redis.close();
  }
}

// The data stand in the body as the text that came, so that no number or string changes on the way.
function message(id, data) {
  const embed = { callbacks: null, errbacks: null, chain: null, chord: null };
  const body = `[[${data}],{},${JSON.stringify(embed)}]`;
  return JSON.stringify({
    body: Buffer.from(body).toString("base64"),
    "content-type": "application/json",
    "content-encoding": "utf-8",
    headers: {
      lang: "js", task: TASK, id, root_id: id, parent_id: null, group: null, shadow: null, eta: null, expires: null, retries: 0,
      timelimit: [null, null], argsrepr: "(...)", kwargsrepr: "{}", origin: ORIGIN, ignore_result: false,
    },
    properties: {
      correlation_id: id,
      delivery_mode: 2,
      delivery_info: { exchange: "", routing_key: QUEUE },
      priority: 0,
      body_encoding: "base64",
      delivery_tag: randomUUID(),
    },
  });
}

// Why the worker could not bear the data, given as text and as value; null where it can.
export function whyItCannotBeQueued(text, data) {
  if (hasLongInteger(text)) return `an integer may not have more than ${DIGITS} digits`;
  let level = [data];
  for (let depth = 0; depth < DEPTH; depth += 1) {
    // An object of these two members alone is kombu's own notation, and is decoded as such.
    if (level.some(isReserved)) return "an object may not consist of __type__ and __value__";
    level = level.flatMap((value) => Object.values(value)).filter((value) => value !== null && typeof value === "object");
    if (!level.length) return null;
  }
  return `the data may not be nested more than ${DEPTH} levels deep`;
}

function isReserved(value) {
  return "__type__" in value && "__value__" in value && Object.keys(value).length === 2;
}

// JSON.parse makes a double of any number, so it is the text that tells; digits within a string are none of a number.
function hasLongInteger(text) {
  let digits = 0, quoted = false;
  for (let at = 0; at < text.length && digits <= DIGITS; at += 1) {
    if (quoted && text[at] === "\\") at += 1;
    else if (text[at] === '"') quoted = !quoted;
    else digits = !quoted && text[at] >= "0" && text[at] <= "9" ? digits + 1 : 0;
  }
  return digits > DIGITS;
}

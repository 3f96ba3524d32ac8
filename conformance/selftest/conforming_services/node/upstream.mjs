// The upstream: the JSON document behind one URL, fetched anew for each request.

import http from "node:http";
import https from "node:https";
import { buffer } from "node:stream/consumers";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";

const SILENCE = 5_000; // ms, in which nothing comes from the upstream
const WHOLE = 12_000; // ms, for all of its answer

// The upstream gave no usable answer; `status` is what our own caller is told.
export class UpstreamError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export class ExternalData {
  #url;
  #client;
  #agent;

  constructor(url) {
    this.#url = url;
    this.#client = new URL(url).protocol === "https:" ? https : http;
    this.#agent = new this.#client.Agent({ keepAlive: true });
  }

  // The document's text as it came; given up when the signal says that nobody waits for it.
  async fetch(signal) {
    const late = AbortSignal.timeout(WHOLE);
    let response, content;
    try {
      response = await this.#answered(AbortSignal.any([signal, late]));
      content = await buffer(response);
      if (/gzip/i.test(response.headers["content-encoding"])) content = await promisify(gunzip)(content);
    } catch (error) {
      if (late.aborted) throw new UpstreamError(504, "the upstream did not answer in time");
      throw error instanceof UpstreamError ? error : new UpstreamError(502, "the upstream could not be read");
    }
    const { statusCode } = response;
    if (statusCode < 200 || statusCode > 299) throw new UpstreamError(502, `the upstream answered ${statusCode}`);
    return jsonText(content);
  }

  close() {
    this.#agent.destroy();
  }

  #answered(signal) {
    return new Promise((resolve, reject) => {
      const options = { agent: this.#agent, timeout: SILENCE, signal, headers: { Accept: "application/json", "Accept-Encoding": "gzip" } };
      const request = this.#client.get(this.#url, options);
      let taking = request;
      request.on("response", (response) => resolve((taking = response)));
      request.on("timeout", () => taking.destroy(new UpstreamError(504, "the upstream did not answer in time")));
      request.on("error", reject);
    });
  }
}

function jsonText(content) {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
    JSON.parse(text);
    return text;
  } catch {
    throw new UpstreamError(502, "the upstream's answer is not JSON");
  }
}

// Calls of the service over Connect, as JSON, to the origin that this page came from.
import { t } from "./i18n.js";

const TOKEN = "tact.token"; // kept for this tab alone, and gone with it

/** Why a call failed: `code` as Connect spells it, such as `unauthenticated`, and what the service said of it. */
export class CallFailed extends Error {
  constructor(code, message) {
    super(message || code);
    this.code = code;
  }
}

/** Remember the bearer token of whoever works here; an empty one forgets it. What no header can carry is refused. */
export function signIn(token) {
  if (!/^[!-~]*$/.test(token)) throw new CallFailed("invalid_token", t("token odd"));
  token ? sessionStorage.setItem(TOKEN, token) : sessionStorage.removeItem(TOKEN);
}

/** Tell whether a token is remembered. */
export const signedIn = () => Boolean(sessionStorage.getItem(TOKEN));

function headers(type) {
  const token = sessionStorage.getItem(TOKEN);
  return {
    "Content-Type": type,
    "Connect-Protocol-Version": "1",
    ...(token ? { Authorization: `Bearer ${token}` } : {}),
  };
}

const address = (method) => `/tact.v1.${method}`;

const failure = (error) => new CallFailed(error?.code ?? "unknown", error?.message ?? "");

/** What a refusal outside of a call means, by its status: 403 is the answer to a page of another origin. */
const REFUSED = { 400: "invalid_argument", 401: "unauthenticated", 403: "failed_precondition", 404: "unimplemented", 415: "invalid_argument" };

/** Read why a call was refused: of a call as JSON, and of what was no call as a sentence. */
async function refusal(response) {
  const kind = response.headers.get("content-type") ?? "";
  const body = await response.text().catch(() => "");
  try {
    if (kind.startsWith("application/json")) return failure(JSON.parse(body));
  } catch {} // cut off on the way
  const words = kind.startsWith("text/plain") ? body.trim().slice(0, 300) : "";
  return new CallFailed(REFUSED[response.status] ?? "unavailable", words || `HTTP ${response.status}`);
}

/** Call a method such as `DecisionService/Decide` once, within so many seconds, and return its answer. */
export async function call(method, request = {}, { seconds = 10, signal } = {}) {
  const limit = AbortSignal.timeout(seconds * 1000);
  try {
    const response = await attempt(method, {
      method: "POST",
      headers: { ...headers("application/json"), "Connect-Timeout-Ms": String(seconds * 1000) },
      body: JSON.stringify(request),
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
    if (!response.ok) throw await refusal(response);
    return await response.json();
  } catch (error) {
    throw error.name === "TimeoutError" ? new CallFailed("unavailable", t("silence")) : error;
  }
}

/** Open a stream of answers, and give them one by one until the service ends it or `signal` does. */
export async function* stream(method, request, signal) {
  const response = await attempt(method, {
    method: "POST",
    headers: headers("application/connect+json"),
    body: enveloped(JSON.stringify(request)),
    signal,
  });
  if (!response.ok || !response.body) throw await refusal(response);
  for await (const [flags, text] of envelopes(response.body)) {
    const message = JSON.parse(text || "{}");
    if (!(flags & 2)) yield message;
    else if (message.error) throw failure(message.error);
    else return;
  }
  throw new CallFailed("unavailable", "the stream broke");
}

async function attempt(method, options) {
  try {
    return await fetch(address(method), { ...options, cache: "no-store", credentials: "same-origin" });
  } catch (error) {
    if (options.signal?.aborted) throw options.signal.reason;
    throw new CallFailed("unavailable", String(error.message ?? error));
  }
}

function enveloped(text) {
  const body = new TextEncoder().encode(text);
  const whole = new Uint8Array(5 + body.length);
  new DataView(whole.buffer).setUint32(1, body.length);
  whole.set(body, 5);
  return whole;
}

/** Cut a body into the messages that it carries: a byte of flags, four of length, and so many of text. */
async function* envelopes(body) {
  let kept = new Uint8Array(0);
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      kept = joined(kept, value);
      while (kept.length >= 5) {
        const end = 5 + new DataView(kept.buffer, kept.byteOffset).getUint32(1);
        if (kept.length < end) break;
        yield [kept[0], new TextDecoder().decode(kept.subarray(5, end))];
        kept = kept.subarray(end);
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function joined(first, second) {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

/** Return what a typed value of the contract holds, as JavaScript has it. */
export function plain(value) {
  if (!value) return undefined;
  if ("intValue" in value) return Number(value.intValue);
  if ("timestampValue" in value) return new Date(value.timestampValue);
  if ("stringsValue" in value) return value.stringsValue.values ?? [];
  return value.boolValue ?? value.doubleValue ?? value.stringValue;
}

/** Return a value typed as the contract has it, for a type that the strategy spells. */
export function typed(type, value) {
  if (type === "bool") return { boolValue: Boolean(value) };
  if (type === "int") return { intValue: String(Math.trunc(value)) };
  if (type === "double") return { doubleValue: Number(value) };
  if (type === "timestamp") return { timestampValue: new Date(value).toISOString() };
  return { stringValue: String(value) };
}

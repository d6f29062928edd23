// The watch: listens to what is to be said to the customer who is open, and reads what is shown beside it.
import { t } from "./i18n.js";
import { call, CallFailed, stream, typed } from "./rpc.js";
import { placed } from "./say.js";
import { SETTLED_MS, change, setting, state } from "./state.js";

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 8000;
const HEARTBEAT_MS = 10_000;
const BREATH_MS = 60; // changes come in bursts: what is read beside the answer is read once after each
const MOST_WATCHES = 20;

let listening = new AbortController();
let reading = 0;
let permitted = 0; // grows whenever what was read may be no longer permitted
const watches = new Map();
const barred = new Set(); // channels on which this caller may decide nothing for this customer
let heardOn = ""; // the channel on which an answer came last

/** Say what went wrong; whoever is not let in is asked who they are. */
export function failed(error) {
  if (error?.name === "AbortError") return;
  change({ problem: problemOf(error) });
  asksForToken(error);
}

const problemOf = (error) => ({ code: error instanceof CallFailed ? error.code : "internal", words: error.message ?? String(error) });

function asksForToken({ code }) {
  if (["unauthenticated", "permission_denied"].includes(code)) change({ tokens: true });
  if (code === "unauthenticated") change({ dialog: "token" });
}

/** Return what ends with the watch of the customer who is open. */
export const watching = () => listening.signal;

/** Listen no more. */
export const stop = () => listening.abort();

/** Forget every watch of this tab: whoever works here next begins anew. */
export function forgetWatches() {
  stop();
  watches.clear();
  barred.clear();
  heardOn = "";
}

/** Listen to what is to be said to the customer who was just opened, on whatever channel. */
export function listenAnew() {
  barred.clear();
  listen();
}

function request() {
  const channel = state.vocabulary.channels.find((each) => each.channelId === state.channel);
  const types = Object.fromEntries(state.vocabulary.requestFields.map((field) => [field.id, field.type]));
  const allowed = Object.entries(state.seen).filter(([id]) => types[id]);
  return {
    customerId: state.customer,
    channel: state.channel,
    placements: channel.placements,
    context: Object.fromEntries(allowed.map(([id, value]) => [id, typed(types[id], value)])),
  };
}

/**
 * Return how far the watch of this customer on this channel has got in this tab. It goes on from there, also when the
 * agent sees something else by now: so the answer before is taken back, and uses up no cap.
 */
function whereLeft() {
  const key = JSON.stringify([state.customer, state.channel]);
  const left = watches.get(key) ?? { cursor: "", answer: null };
  watches.delete(key);
  watches.set(key, left);
  if (watches.size > MOST_WATCHES) watches.delete(watches.keys().next().value);
  left.asked = true;
  return left;
}

/** Listen to what is to be said, and go on by the cursor after each break. */
export async function listen() {
  stop();
  const mine = (listening = new AbortController());
  change({ answer: null, cause: null, explanation: null, whatIf: {}, live: "connecting" });
  read(mine.signal);
  const resuming = whereLeft();
  for (let wait = FIRST_WAIT_MS; !mine.signal.aborted; wait = longer(wait)) {
    try {
      await follow(resuming, mine.signal, () => (wait = FIRST_WAIT_MS));
    } catch (error) {
      if (mine.signal.aborted) return;
      if (error.code === "invalid_argument" && resuming.cursor) {
        resuming.cursor = "";
        continue;
      }
      if (error.code === "permission_denied" && elsewhere()) return;
      if (lasting(error)) return ended(error);
    }
    if (mine.signal.aborted) return;
    change({ live: "broken" });
    await pause(wait);
  }
}

const longer = (wait) => Math.min(wait * 2, LONGEST_WAIT_MS);

/** Wait for about so long, so that not all pages ask at once, or until there is a network again. */
function pause(ms) {
  return new Promise((done) => {
    const clock = setTimeout(done, ms * (0.5 + Math.random()));
    addEventListener("online", () => (clearTimeout(clock), done()), { once: true });
  });
}

const LASTING = ["unauthenticated", "permission_denied", "invalid_argument", "failed_precondition", "not_found", "unimplemented"];
const lasting = (error) => !(error instanceof CallFailed) || LASTING.includes(error.code);

/** Nothing is heard until the agent does something else: say why, and show nothing to whoever is not known any more. */
function ended(error) {
  if (error.code === "unauthenticated") forget();
  failed(error);
  change({ live: "stopped" });
}

/** Go to another channel, where this caller may not decide on the one that was asked for; tell whether there is one. */
function elsewhere() {
  const refused = state.channel;
  barred.add(refused);
  const known = state.vocabulary.channels.map((each) => each.channelId);
  const channel = [heardOn, ...known].find((each) => known.includes(each) && !barred.has(each));
  if (!channel) return false;
  change({ channel, outcomes: {}, tokens: true, problem: { code: "", words: t("channel barred", { channel: refused, instead: channel }) } });
  listen();
  return true;
}

async function follow(resuming, signal, heard) {
  const asked = { question: request(), cursor: resuming.cursor, heartbeatMs: HEARTBEAT_MS, everyCause: true };
  const silence = new AbortController();
  const give = () => silence.abort(new CallFailed("unavailable", t("silence")));
  let patience = setTimeout(give, 2 * HEARTBEAT_MS);
  addEventListener("offline", give, { signal: silence.signal });
  try {
    for await (const message of stream("DecisionService/Watch", asked, AbortSignal.any([signal, silence.signal]))) {
      if (signal.aborted) return;
      clearTimeout(patience);
      patience = setTimeout(give, 2 * HEARTBEAT_MS);
      heard();
      resuming.cursor = message.cursor;
      if (heardOn !== asked.question.channel) setting.set("channel", (heardOn = asked.question.channel));
      change({ live: "live" });
      take(message, resuming, signal);
    }
  } finally {
    clearTimeout(patience);
    give();
  }
}

const kindOf = (cause) => (cause.kind ?? "").replace("WATCH_CAUSE_KIND_", "") || "UNSPECIFIED";
const FORBIDS = ["UNSPECIFIED", "CONSENT", "IDENTITY", "ERASED"];

/** Tell whether what was said and read before may be permitted no more, because of what made a message, or may have. */
function mayForbid({ causes = [], kind, moreCauses }) {
  return causes.some((each) => FORBIDS.includes(kindOf(each))) || Boolean(moreCauses) || (kind === "WATCH_KIND_WITHDRAWN" && !causes.length);
}

/** Take one message of the watch: a withdrawal, another answer, a fact beside it, or only a sign of life. */
function take(message, resuming, signal) {
  const kind = message.kind.replace("WATCH_KIND_", "");
  const answer = kind === "ANSWER" ? message.answer : state.answer ? null : resuming.answer;
  const forbidden = mayForbid(message);
  if (forbidden) forget();
  if (kind === "WITHDRAWN" && !resuming.asked) withdraw(message.withdrawn ?? [], forbidden);
  if (kind === "HEARTBEAT" && !answer && !forbidden) return;
  if (kind !== "WITHDRAWN" && answer) {
    stand(answer);
    change({ answer, cause: resuming.asked ? null : causeOf(message), explanation: null, whatIf: {} });
    Object.assign(resuming, { answer, asked: false });
  }
  again(signal, Boolean(answer) || forbidden);
}

/** Take everything off the page that was read of the customer; what is on its way is not shown any more either. */
export function forget() {
  reading += 1;
  permitted += 1;
  const withdrawn = state.withdrawn.map((each) => ({ ...each, words: "" }));
  change({ context: null, person: null, journey: null, explanation: null, whatIf: {}, withdrawn });
}

let standing = "";

/** Keep since when the cards are other ones: a key that was meant for those before must not count for these. */
function stand(answer) {
  const cards = JSON.stringify([state.customer, (answer?.answers ?? []).map((each) => placed(each).actionId)]);
  if (standing && cards !== standing) {
    const now = performance.now();
    change({ changedAt: now, early: state.early && now - state.changedAt < SETTLED_MS }); // one change may come in two
  }
  standing = cards;
}

function withdraw(gone, bare) {
  const before = (state.answer?.answers ?? []).map(placed);
  const words = (each) => (bare ? "" : before.find((said) => said.placement === each.placement)?.text ?? "");
  const told = gone.map((each) => ({ ...each, words: words(each) }));
  const rest = (state.answer?.answers ?? []).filter((said) => !gone.some((each) => each.placement === said.placement));
  const answer = state.answer && { ...state.answer, answers: rest };
  stand(answer);
  change({ withdrawn: told.reverse(), answer, explanation: null, whatIf: {} });
}

function causeOf(message) {
  const cause = message.causes?.at(-1);
  return cause ? { kind: kindOf(cause), name: cause.name, at: cause.at ?? message.toldAt } : null;
}

let breath;
let asWell = false;

/** Read after a short while what is shown beside the answer, and why it is the answer where that is another one. */
function again(signal, answered) {
  clearTimeout(breath);
  asWell ||= answered;
  breath = setTimeout(() => {
    if (signal.aborted) return;
    read(signal);
    if (asWell) explain(signal);
    asWell = false;
  }, BREATH_MS);
}

/** The facts have changed even where the answer stays as it is: read them after a short while. */
export const afterwards = () => again(watching(), false);

const PARTS = {
  context: (asked, options) => call("ContextService/GetContext", asked, options),
  person: (asked, options) => call("IdentityService/GetIdentities", asked, options).then((told) => told.person),
  journey: (asked, options) => call("JourneyService/GetJourney", { ...asked, limit: 40 }, options),
};

/** Read what is shown beside the answer, as often as it takes; until then the page says that it is not up to date. */
async function read(signal) {
  const mine = ++reading;
  const over = () => signal.aborted || mine !== reading;
  let missing = Object.keys(PARTS);
  for (let wait = FIRST_WAIT_MS; ; wait = longer(wait)) {
    const failures = (await Promise.all(missing.map((name) => readPart(name, signal, over)))).filter(Boolean);
    if (over()) return;
    if (!failures.length) return change({ unread: null });
    const error = (failures.find(([, each]) => lasting(each)) ?? failures[0])[1];
    change({ unread: problemOf(error) });
    asksForToken(error);
    missing = failures.filter(([, each]) => !lasting(each)).map(([name]) => name);
    if (!missing.length) return;
    await pause(wait);
    if (over()) return;
  }
}

/** Read one part, and return what failed. */
async function readPart(name, signal, over) {
  try {
    const told = await PARTS[name]({ customerId: state.customer }, { signal });
    if (!over()) change({ [name]: told });
    return null;
  } catch (error) {
    return [name, error];
  }
}

async function explain(signal) {
  const decisionId = state.answer?.decisionId;
  const allowed = still(decisionId);
  if (!decisionId) return change({ explanation: { incomplete: t("nothing recorded") } });
  try {
    const told = await call("DecisionService/ExplainDecision", { decisionId }, { signal });
    if (allowed()) change({ explanation: told });
  } catch (error) {
    if (!signal.aborted && allowed()) change({ explanation: { incomplete: error.message } });
  }
}

/** Return what tells whether a decision is still the one that is shown, and what was asked of it still permitted. */
export function still(decisionId) {
  const before = permitted;
  return () => before === permitted && state.answer?.decisionId === decisionId;
}

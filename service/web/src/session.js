// What the page does: opens a customer, and tells the service what happened.
import { t } from "./i18n.js";
import { call, CallFailed, plain, signedIn, signIn, typed } from "./rpc.js";
import { change, setting, state } from "./state.js";
import { afterwards, failed, forget, forgetWatches, listen, listenAnew, still, stop, watching } from "./watching.js";

const REFUSED = ["unauthenticated", "permission_denied", "invalid_argument"];
const SURE_MS = 5000; // within which "never" is meant by a second press
const NOBODY = {
  customer: "", found: null, context: null, person: null, journey: null, unread: null, answer: null, cause: null, explanation: null, about: "",
  whatIf: {}, outcomes: {}, withdrawn: [], fired: [], form: null, seen: {}, all: {}, problem: null, live: "idle",
};

/** Learn what the strategy in force knows. */
export async function learn() {
  const told = await call("InsightService/GetStrategy");
  const fields = told.fields ?? [];
  const vocabulary = {
    version: told.version,
    name: told.name,
    currency: told.currency,
    channels: told.channels ?? [],
    levels: told.levels ?? [],
    events: told.events ?? [],
    actions: Object.fromEntries((told.actions ?? []).map((action) => [action.actionId, action])),
    requestFields: fields.filter((field) => field.source === "FIELD_SOURCE_REQUEST").map((field) => ({ ...field, id: field.fieldId })),
    supplies: fields.filter((field) => field.item),
  };
  const known = vocabulary.channels.map((channel) => channel.channelId);
  const wanted = [state.channel, setting.get("channel", "desk"), known[0]];
  change({ vocabulary, channel: wanted.find((channel) => known.includes(channel)) });
}

const guarded = (work) => async (...given) => {
  try {
    return await work(...given);
  } catch (error) {
    failed(error);
  }
};

// --------------------------------------------------------------------------------------------- one customer's session

/** Return the customer whom the address names; what is no escape is taken as it stands. */
function named() {
  const hash = location.hash.slice(1);
  try {
    return decodeURIComponent(hash);
  } catch {
    return hash;
  }
}

/** Open a customer: forget the one before, and listen to what is to be said to this one from now on. */
export function open(customer) {
  if (named() !== customer) history.pushState(null, "", `#${encodeURIComponent(customer)}`);
  if (!state.vocabulary) return begin();
  change({ ...NOBODY, customer, seen: usually() });
  document.title = `${customer} · Tact`;
  listenAnew();
}

/** Go where the address says: to a customer, or back to the start. */
export function goWhereTold() {
  const customer = named();
  if (customer) return open(customer);
  stop();
  change({ ...NOBODY });
  document.title = "Tact";
}

/** Return what is usually seen when a call begins: an even mood, and no more. */
function usually() {
  const mood = state.vocabulary?.requestFields.find((field) => field.id.endsWith(".sentiment"));
  return mood ? { [mood.id]: 0.2 } : {};
}

/** Decide anew with what the agent sees now, or for another channel. */
export function seeAgain(seen) {
  change({ seen });
  listen();
}
state.seeAgain = seeAgain;

/** Choose the channel on which something would be said. */
export function onChannel(channel) {
  change({ channel, outcomes: {} });
  if (state.customer) listen();
}

// ------------------------------------------------------------------------------------------------ what the agent does

/** Read the part of the journey that is older than what is shown. */
export const older = guarded(async () => {
  const { journey, customer } = state;
  const asked = { customerId: customer, limit: 40, pageToken: journey.nextPageToken };
  const told = await call("JourneyService/GetJourney", asked, { signal: watching() });
  if (state.journey === journey) change({ journey: { ...told, entries: [...journey.entries, ...(told.entries ?? [])] } });
});

/** Look for the smallest change of facts that lets an action win, or lose. */
export async function whatIf(actionId, goal, placement) {
  const decisionId = state.answer?.decisionId;
  const allowed = still(decisionId);
  const put = (answer) => allowed() && change({ whatIf: { ...state.whatIf, [actionId]: answer } });
  put({ busy: true });
  try {
    const asked = { decisionId, actionIds: [actionId], whatIf: { actionId, goal: `WHAT_IF_GOAL_${goal}`, placement } };
    const told = await call("DecisionService/ExplainDecision", asked, { seconds: 30, signal: watching() });
    put(told.whatWouldChange ?? { failed: told.incomplete });
  } catch (error) {
    if (error.name !== "AbortError") put({ failed: error.message });
  }
}

/** Show the reasons of what is said at one placement. */
export function about(placement) {
  change({ about: placement });
  requestAnimationFrame(() => document.getElementById("why")?.focus());
}

/** Record what came of something that was said. */
export async function outcome(said, kind) {
  const at = `${state.answer.decisionId}/${said.actionId}`;
  if (Object.values(state.outcomes[at] ?? {}).includes("sending") || state.outcomes[at]?.[kind] === "stored") return;
  const put = (how) => change({ outcomes: { ...state.outcomes, [at]: { ...state.outcomes[at], [kind]: how } } });
  const one = { decisionId: state.answer.decisionId, actionId: said.actionId, kind: `OUTCOME_KIND_${kind}` };
  if (kind === "NEVER" && state.outcomes[at]?.NEVER !== "sure") {
    setTimeout(() => state.outcomes[at]?.NEVER === "sure" && put(""), SURE_MS);
    return put("sure");
  }
  put("sending");
  try {
    const { results } = await call("OutcomeService/RecordOutcomes", { outcomes: [one] });
    const kept = ["OUTCOME_STATUS_STORED", "OUTCOME_STATUS_REPEATED"].includes(results[0].status);
    put(kept ? "stored" : "refused");
    if (!kept) change({ problem: { code: "invalid_argument", words: results[0].violations?.[0]?.description ?? results[0].status } });
    afterwards();
  } catch (error) {
    put("");
    failed(error);
  }
}

/** Take what was withdrawn off the page: the agent has read it. */
export const understood = () => change({ withdrawn: [] });

const tell = (words) => change({ fired: [{ at: Date.now(), words }, ...state.fired].slice(0, 20), problem: null });

/** Return what an attribute usually is: an id names the customer's first of its kind, a moment is now. */
export function usual(attribute) {
  if (attribute.type === "timestamp") return onTheWall(new Date(Date.now() + 30 * 86400e3));
  if (["int", "double"].includes(attribute.type)) return attribute.low ?? 0;
  return attribute.type === "string" && !attribute.optional ? `${state.customer}-1` : "";
}

/** Return a moment as a clock on the wall here shows it, which is how a field for a moment is read. */
const onTheWall = (at) => new Date(at - at.getTimezoneOffset() * 60e3).toISOString().slice(0, 16);

/** Return 128 random bits; `crypto.randomUUID` is missing where a page came over plain HTTP from another machine. */
const unique = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Fire an event of the customer, with what is told with it; what is left out is as usual. */
export const fire = guarded(async (type, given) => {
  const declared = state.vocabulary.events.find((event) => event.type === type)?.attributes ?? [];
  const told = declared.map((each) => [each, given[each.name] ?? (each.optional ? "" : each.values?.[0] ?? usual(each))]);
  const attributes = Object.fromEntries(told.filter(([each, value]) => value !== "" || each.type === "bool").map(([each, value]) => [each.name, typed(each.type, value)]));
  const event = { eventId: `desktop-${unique()}`, customerId: state.customer, type, occurredAt: new Date().toISOString(), attributes };
  const { results } = await call("ContextService/RecordEvents", { events: [event] });
  const { status, violations = [] } = results[0];
  if (status !== "EVENT_STATUS_STORED") throw new CallFailed("invalid_argument", violations.map((v) => `${v.field}: ${v.description}`).join("; ") || status);
  tell(type);
  afterwards();
});

/** Set the consent level of the customer. */
export const consent = guarded(async (level) => {
  const { consent: now } = await call("ContextService/GetConsent", { customerId: state.customer });
  await call("ContextService/SetConsent", { customerId: state.customer, consent: { level, contactChannels: now?.contactChannels ?? [], source: "desktop" } });
  forget();
  tell(`${t("consent")}: ${level}`);
  afterwards();
});

/** Return where the customer's answer looks for a stock, where that is known. */
export const placeOf = (field) =>
  field.place || state.seen[field.placeFieldId] || plain(state.context?.fields?.find((each) => each.fieldId === field.placeFieldId)?.value);

/** Report a stock, where the customer's answer looks for it. */
export const supply = guarded(async (field, available) => {
  const place = placeOf(field);
  if (!place) throw new CallFailed("invalid_argument", t("no place", { field: field.placeFieldId }));
  const observedAt = new Date();
  const report = { item: field.item, place, available: String(available), observedAt: observedAt.toISOString(), expiresAt: new Date(+observedAt + 86400e3).toISOString() };
  const { results } = await call("SupplyService/ReportSupply", { reports: [report] });
  if (results[0].violations?.length) throw new CallFailed("invalid_argument", results[0].violations[0].description);
  tell(`${field.item}@${place}: ${available}`);
});

// ------------------------------------------------------------------------------------------------------ finding people

let asking = new AbortController();

/** Find customers by how their id begins. */
export async function find(query) {
  asking.abort();
  asking = new AbortController();
  if (!query.trim()) return change({ found: null });
  change({ found: { query, customers: state.found?.customers ?? [], at: -1 } });
  const { signal } = asking;
  try {
    await new Promise((done) => setTimeout(done, 150));
    if (signal.aborted) return;
    const told = await call("JourneyService/SearchCustomers", { query: query.trim(), limit: 8 }, { signal });
    if (state.found?.query === query) change({ found: { ...state.found, customers: told.customers ?? [], read: true }, problem: null });
  } catch (error) {
    if (!signal.aborted) failed(error);
  }
}

// ----------------------------------------------------------------------------------------------------- who works here

/** Take the token of whoever works here, and begin again. */
export const enter = guarded(async (token) => {
  signIn(token);
  forgetEverything();
  await begin();
});

/** Forget who works here, and everything that was shown to them. */
export function leave() {
  signIn("");
  history.replaceState(null, "", location.pathname);
  document.title = "Tact";
  forgetEverything();
  begin();
}

function forgetEverything() {
  forgetWatches();
  change({ ...NOBODY, vocabulary: null, channel: "", dialog: "" });
}

/** Begin: learn the strategy, and open the customer whom the address names; who may not learn it is asked for a token. */
export async function begin() {
  try {
    await learn();
  } catch (error) {
    failed(error);
    if (REFUSED.includes(error.code) && (state.tokens || signedIn())) change({ dialog: "token" });
    return;
  }
  change({ problem: null });
  if (named()) goWhereTold(); // who is quick has begun to search by now
}

// What the page knows, in one place; whoever changes it says so, and the page is drawn anew once.

/** For how long after the cards became other ones a key does not count, in milliseconds. */
export const SETTLED_MS = 1000;

/** Everything that is shown. */
export const state = {
  customer: "", // whom it is about, as it was asked for
  channel: "", // where something would be said
  seen: {}, // what the agent sees right now: request fields by id, as plain values
  vocabulary: null, // what the strategy knows: channels, request fields, events, supplies
  live: "idle", // idle, connecting, live, broken (and tried again), stopped (and not tried again)
  problem: null, // what went wrong last, in words
  unread: null, // why what is shown beside the answer could not be read, until it is
  tokens: false, // whether the service asked for a token
  context: null, // GetContext
  person: null, // the ids of the person
  journey: null, // { entries, next, hidden }
  answer: null, // the last decision that was pushed
  cause: null, // what made it another one
  changedAt: -Infinity, // when the cards became other ones, by the page's clock
  early: false, // whether a key came too soon after that
  withdrawn: [], // what was said and may not be any more: { placement, words, sentence, at }
  explanation: null, // ExplainDecision of the answer
  about: "", // the placement of which the reasons are shown, where one was chosen
  whatIf: {}, // by action: { busy } or the answer
  outcomes: {}, // by decision and action: { kind, state }
  found: null, // { query, customers, at } while the search is open
  dialog: "", // keys, token
  panel: false, // whether the panel that fires events is open
  fired: [], // what it fired, the newest first
  all: {}, // which lists are shown in full
};

let draw = () => {};
let planned = false;

/** Change what is known, and have the page drawn before the next frame. */
export function change(patch) {
  Object.assign(state, patch);
  if (planned) return;
  planned = true;
  queueMicrotask(() => {
    planned = false;
    draw(state);
  });
}

/** Say what draws the page. */
export function drawnBy(drawing) {
  draw = drawing;
}

/** A setting that this browser remembers; nothing of a customer is one. */
export const setting = {
  get: (name, otherwise) => localStorage.getItem(`tact.${name}`) ?? otherwise,
  set: (name, value) => localStorage.setItem(`tact.${name}`, value),
};

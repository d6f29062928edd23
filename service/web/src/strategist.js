// The strategist's page: the strategy in its own words, and how it works.
import { html, nothing, render } from "lit-html";
import { door, token, wrong } from "./access.js";
import { LANGUAGES, language, speak, t, teach } from "./i18n.js";
import { actions } from "./insight/actions.js";
import { drawCharts } from "./insight/charts.js";
import { journeyMap } from "./insight/journey_map.js";
import { drift, shadow, versions } from "./insight/models.js";
import { activity, limits, overview, silence } from "./insight/overview.js";
import { readInsight, readStrategy } from "./insight/reading.js";
import { rules } from "./insight/rules.js";
import { call, signIn } from "./rpc.js";
import { change, drawnBy, setting, state } from "./state.js";
import de from "./words/strategist.de.json";
import en from "./words/strategist.en.json";

teach({ de, en });

const THEMES = ["auto", "light", "dark"];
const STEPS_MINUTES = [5, 15, 60, 360, 1440];
const MOST_STEPS = 100;
const DAY_MS = 86_400_000;
const WINDOWS = { hour: DAY_MS / 24, today: 0, day: DAY_MS, week: 7 * DAY_MS, month: 30 * DAY_MS };
const SHORTEST_MS = 5 * 60_000;
const AGAIN_MS = 15_000;
const SOON_MS = 1_500;
const PARTS = ["activity", "silence", "rules", "actions", "map", "limits", "versions", "shadow", "drift"];

// ------------------------------------------------------------------------------------------------------------ the page

function page(state) {
  return html`<a class="skip" href="#strategy" @click=${jump}>${t("Skip to the strategy")}</a> ${bar(state)} ${state.dialog === "token" ? nothing : problem(state)}
    <main class="strategist">${state.insight ? parts(state) : waiting(state)}</main> ${token(state, enter)}`;
}

function waiting(state) {
  return html`<div class="card empty" id="strategy" tabindex="-1" role="status"><h1>${t("strategist")}</h1>${state.problem ? "" : t("Reading the log …")}</div>`;
}

function jump(event) {
  event.preventDefault();
  document.getElementById("strategy")?.focus();
}

function bar(state) {
  return html`<header class="bar">
    <a class="brand" href="./"><svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="M4 5h16v11H11l-5 4v-4H4z"/><path d="m8.500 10.500 2.300 2.300 4.700-4.700"/></svg>Tact</a>
    <nav aria-label=${t("pages")}><a href="./">${t("desktop")}</a><a href="strategist.html" aria-current="page">${t("strategist")}</a></nav>
    <span class="grow"></span>
    <select id="window" aria-label=${t("Which time")} @change=${(event) => within(event.target.value)}>
      ${Object.keys(WINDOWS).map((name) => html`<option value=${name} ?selected=${name === windowNow()}>${t(`window ${name}`)}</option>`)}
    </select>
    <span class="live" data-state=${state.live} role="status">${["broken", "stopped"].includes(state.live) ? t(`live ${state.live}`) : state.insight?.basis.complete ? t("Up to date") : t("Counting")}</span>
    <select aria-label=${t("language")} @change=${(event) => (speak(event.target.value), change({}))}>
      ${Object.entries(LANGUAGES).map(([tag, name]) => html`<option value=${tag} ?selected=${tag === language()}>${name}</option>`)}
    </select>
    <button class="button quiet small" @click=${nextTheme}>${t(`theme ${theme()}`)}</button> ${door(state, leave)}
  </header>`;
}

function parts(state) {
  return html`${overview(state)}
    <nav class="parts-nav" aria-label=${t("Parts of this page")}>${PARTS.map((part) => html`<a href="#${part}" @click=${goTo}>${t(`part ${part}`)}</a>`)}</nav>
    <div class="two">${activity(state)} ${silence(state)}</div>
    ${rules(state)} ${actions(state)} ${journeyMap(state)}
    <div class="two"><div class="stack">${limits(state)} ${versions(state)}</div><div class="stack">${shadow(state)} ${drift(state)}</div></div>`;
}

function goTo(event) {
  event.preventDefault();
  const heading = document.getElementById(event.currentTarget.hash.slice(1));
  heading?.scrollIntoView({ block: "start" });
  heading?.focus({ preventScroll: true });
}

const problem = (state) => (state.problem ? html`<p class="notice bad problem" role="alert">${wrong(state.problem)}</p>` : nothing);

function enter(token) {
  try {
    signIn(token);
  } catch (failed) {
    return change({ problem: { code: failed.code, words: failed.message } });
  }
  change({ dialog: "", problem: null });
  refresh();
}

function leave() {
  signIn("");
  change({ insight: null, strategy: null });
  refresh();
}

// ------------------------------------------------------------------------------------------------------ looks and time

const theme = () => setting.get("theme", "auto");

function dressed() {
  if (theme() === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme();
}

function nextTheme() {
  setting.set("theme", THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length]);
  dressed();
  change({});
}

const windowNow = () => (setting.get("window", "today") in WINDOWS ? setting.get("window", "today") : "today");

function within(name) {
  setting.set("window", name);
  refresh();
}

/** Return what to ask for; today has some minutes from its start on, also for a clock that is ahead of the service's. */
function wanted(now = new Date()) {
  const today = Math.min(new Date(now).setHours(0, 0, 0, 0), now - SHORTEST_MS);
  const since = new Date(windowNow() === "today" ? today : now - WINDOWS[windowNow()]);
  const minutes = Math.max(5, (now - since) / 60_000);
  const stepMinutes = STEPS_MINUTES.find((step) => minutes / step <= MOST_STEPS) ?? STEPS_MINUTES.at(-1);
  return { since: since.toISOString(), stepMinutes };
}

// --------------------------------------------------------------------------------------------------- reading, for ever

let asked = 0;
let timer;

/** Ask anew, and again after a while; an answer that a later question has overtaken is dropped. */
async function refresh() {
  clearTimeout(timer);
  const question = ++asked;
  let pause = AGAIN_MS;
  try {
    const insight = readInsight(await call("InsightService/GetInsight", wanted(), { seconds: 30 }));
    const strategy = await inForce(insight);
    if (question !== asked) return;
    change({ insight, strategy, problem: null, live: "live" });
    if (!insight.basis.complete) pause = SOON_MS;
  } catch (failed) {
    if (question !== asked) return;
    change({ problem: { code: failed.code ?? "", words: failed.message }, ...(shuts(failed.code) ? SHUT : { live: "broken" }) });
    if (shuts(failed.code)) return;
    pause *= 0.75 + Math.random() / 2; // not all pages at once
  }
  timer = setTimeout(next, pause);
}

const SHUT = { live: "stopped", insight: null, strategy: null, tokens: true, dialog: "token" };
const shuts = (code) => ["unauthenticated", "permission_denied"].includes(code);

/** Keep the strategy that is known for as long as it is in force. */
async function inForce(insight) {
  const now = insight.versions.find((each) => each.inForce);
  const same = state.strategy && now && now.strategy === state.strategy.version && (now.model ?? "") === (state.strategy.model ?? "");
  return same ? state.strategy : readStrategy(await call("InsightService/GetStrategy", {}));
}

/** Ask again where somebody looks, and wait for that where nobody does. */
function next() {
  if (document.visibilityState === "visible" && state.dialog !== "token") refresh();
  else timer = setTimeout(next, AGAIN_MS);
}

drawnBy((now) => {
  document.title = `Tact: ${t("strategist")}`;
  render(page(now), document.body);
  document.querySelector("dialog:not([open])")?.showModal();
  drawCharts();
});
document.body.replaceChildren();
dressed();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => change({}));
change({ live: "connecting" });
refresh();

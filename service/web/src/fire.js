// The panel that lets a newcomer fire events, withdraw the consent and empty the stock, and watch the answer change.
import { html, nothing } from "lit-html";
import { keyed } from "lit-html/directives/keyed.js";
import { moment, t } from "./i18n.js";
import { change } from "./state.js";
import { named } from "./who.js";

/** What is offered as one button, where the strategy has the event; what is told with it, but ids. */
const QUICK = [
  ["ticket.opened", { topic: "network" }],
  ["ticket.closed", {}],
  ["delivery.delayed", { days: 3 }],
  ["delivery.arrived", {}],
  ["survey.closed", { verdict: "unhappy" }],
  ["survey.closed", { verdict: "happy" }],
  ["cart.updated", { value: 89.9 }],
  ["cart.bought", {}],
  ["invoice.unpaid", { amount: 49 }],
  ["invoice.paid", {}],
];

/** Draw the panel. */
export function fire(state, act) {
  const events = state.vocabulary?.events ?? [];
  const quick = QUICK.filter(([type]) => events.some((event) => event.type === type));
  return html`<section class="card" aria-labelledby="fire">
    <header><h2 id="fire" tabindex="-1">${t("fire")}</h2><span class="grow"></span>
      <button class="button quiet small" @click=${() => change({ panel: false })}>${t("close")} <kbd>e</kbd></button></header>
    <div class="in fire">
      ${quick.length ? group(t("something happens"), quick.map(([type, given]) => button(quickName(type, given), type, () => act.fire(type, given)))) : nothing}
      ${group(t("consent"), (state.vocabulary?.levels ?? []).map((level) => button(t("consent to", { level: level.levelId }), `consent.${level.levelId}`, () => act.consent(level.levelId))))}
      ${supplies(state, act)} ${other(state, events, act)}
      <ol class="small muted" aria-live="polite">${state.fired.slice(0, 5).map((each) => html`<li>${moment(each.at)} ${each.words}</li>`)}</ol>
    </div>
  </section>`;
}

const group = (name, buttons) => html`<div class="group" role="group" aria-label=${name}><h3 class="small">${name}</h3><div>${buttons}</div></div>`;
const button = (words, name, click) => html`<button class="button small" data-fire=${name} @click=${click}>${words}</button>`;
const quickName = (type, given) => t(given.verdict ? `fire ${type} ${given.verdict}` : `fire ${type}`);

function supplies(state, act) {
  const items = state.vocabulary?.supplies ?? [];
  if (!items.length) return nothing;
  const stocks = new Map(items.map((each) => [`${each.item} (${act.placeOf(each) ?? named(each.placeFieldId)})`, each]));
  const buttons = [...stocks].flatMap(([item, each]) => [
    button(t("empty stock", { item }), `empty.${each.fieldId}`, () => act.supply(each, 0)),
    button(t("fill stock", { item }), `fill.${each.fieldId}`, () => act.supply(each, 500)),
  ]);
  return group(t("stock"), buttons);
}

/** Any event of the strategy, with what is told with it. */
function other(state, events, act) {
  const chosen = events.find((event) => event.type === state.form?.type);
  return html`<details>
    <summary class="small">${t("any event")}</summary>
    <form class="now" @submit=${(event) => send(event, chosen, act)}>
      <div><label for="event">${t("event")}</label>
        <select id="event" @change=${(event) => change({ form: { type: event.target.value } })}>
          <option value="">${t("choose")}</option>
          ${events.map((event) => html`<option value=${event.type} ?selected=${event === chosen}>${event.type}</option>`)}
        </select></div>
      ${chosen ? keyed(chosen, html`<p class="small muted">${chosen.says}</p>${(chosen.attributes ?? []).map((each) => attribute(each, act))}
        <button class="button small">${t("send")}</button>`) : nothing}
    </form>
  </details>`;
}

function attribute(each, act) {
  const id = `attribute-${each.name}`;
  const control = each.values?.length
    ? html`<select id=${id} name=${each.name}>${each.values.map((value) => html`<option>${value}</option>`)}</select>`
    : each.type === "bool"
      ? html`<select id=${id} name=${each.name}><option value="true">${t("yes")}</option><option value="">${t("no")}</option></select>`
      : html`<input id=${id} name=${each.name} ?required=${!each.optional}
          type=${["int", "double"].includes(each.type) ? "number" : each.type === "timestamp" ? "datetime-local" : "text"}
          step=${each.type === "double" ? "any" : nothing} min=${each.low ?? nothing} max=${each.high ?? nothing} .value=${String(act.usual(each))} />`;
  return html`<div><label for=${id}>${named(each.name)}</label>${control}</div>`;
}

function send(event, chosen, act) {
  event.preventDefault();
  const told = [...new FormData(event.target)].filter(([, value], at) => value !== "" || chosen.attributes[at]?.type === "bool");
  act.fire(chosen.type, Object.fromEntries(told));
}

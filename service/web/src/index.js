// The agent's desktop.
import { html, nothing, render } from "lit-html";
import { door, token, wrong } from "./access.js";
import { LANGUAGES, language, speak, t } from "./i18n.js";
import { fire } from "./fire.js";
import { journey } from "./journey.js";
import { keys, perform, shortcuts } from "./keys.js";
import { say } from "./say.js";
import * as session from "./session.js";
import { change, drawnBy, setting, state } from "./state.js";
import { identity, who } from "./who.js";
import { why } from "./why.js";

const THEMES = ["auto", "light", "dark"];

function page(state) {
  return html`<a class="skip" href="#say" @click=${jump}>${t("skip")}</a>
    ${bar(state)} ${state.dialog === "token" ? nothing : problems(state)}
    ${state.customer ? desk(state) : start(state)} ${keys(state)} ${token(state, session.enter)}`;
}

function jump(event) {
  event.preventDefault();
  document.getElementById("say")?.focus();
}

function bar(state) {
  return html`<header class="bar">
    <a class="brand" href="./"><svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="M4 5h16v11H11l-5 4v-4H4z"/><path d="m8.500 10.500 2.300 2.300 4.700-4.700"/></svg>Tact</a>
    <nav aria-label=${t("pages")}><a href="./" aria-current="page">${t("desktop")}</a><a href="strategist.html">${t("strategist")}</a></nav>
    ${search(state)}
    ${state.vocabulary ? channel(state) : nothing}
    <span class="grow"></span>
    <span class="live" data-state=${state.live} role="status">${t(`live ${state.live}`)}</span>
    <select aria-label=${t("language")} @change=${(event) => (speak(event.target.value), change({}))}>
      ${Object.entries(LANGUAGES).map(([tag, name]) => html`<option value=${tag} ?selected=${tag === language()}>${name}</option>`)}
    </select>
    <button class="button quiet small" @click=${nextTheme}>${t(`theme ${theme()}`)} <kbd>t</kbd></button>
    <button class="button small" aria-expanded=${state.panel} @click=${togglePanel}>${t("fire")} <kbd>e</kbd></button>
    ${door(state, session.leave)}
    <button class="button quiet small" aria-label=${t("keys")} @click=${() => change({ dialog: "keys" })}><kbd>?</kbd></button>
  </header>`;
}

const theme = () => setting.get("theme", "auto");

function nextTheme() {
  setting.set("theme", THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length]);
  dressed();
  change({});
}

function dressed() {
  if (theme() === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme();
}

function togglePanel() {
  change({ panel: !state.panel });
  if (state.panel) requestAnimationFrame(() => document.getElementById("fire")?.focus());
}

function channel(state) {
  return html`<select aria-label=${t("channel")} @change=${(event) => session.onChannel(event.target.value)}>
    ${state.vocabulary.channels.map(({ channelId }) => html`<option value=${channelId} .selected=${channelId === state.channel}>${channelId}</option>`)}
  </select>`;
}

// ---------------------------------------------------------------------------------------------------------- the search

function search(state) {
  const { found } = state;
  const open = Boolean(found?.customers.length || found?.read);
  return html`<div class="search" role="search">
    <input id="search" type="search" role="combobox" autocomplete="off" spellcheck="false" aria-autocomplete="list" aria-controls="found"
      aria-expanded=${open} aria-activedescendant=${found?.at >= 0 ? `found-${found.at}` : nothing} aria-label=${t("search")} placeholder=${t("search")}
      @input=${(event) => session.find(event.target.value)} @keydown=${searching} />
    <kbd aria-hidden="true">/</kbd>
    <ul id="found" class="found" role="listbox" aria-label=${t("customers found")} ?hidden=${!open}>
      ${(found?.customers ?? []).map((each, at) => html`<li id="found-${at}" role="option" aria-selected=${at === found.at} @mousedown=${() => chosen(each.customerId)}>
        ${each.customerId}<small>${each.matchedId !== each.customerId ? `${each.matchedId} · ` : ""}${each.consentLevel}</small></li>`)}
      ${open && !found.customers.length ? html`<li role="option" aria-selected="false" @mousedown=${() => chosen(found.query)}>${t("nobody found", { id: found.query })}</li>` : nothing}
    </ul>
  </div>`;
}

function searching(event) {
  const { found } = state;
  const many = found?.customers.length ?? 0;
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step && many) {
    event.preventDefault();
    change({ found: { ...found, at: (found.at + step + many) % many } });
  } else if (event.key === "Enter" && event.target.value.trim()) {
    event.preventDefault();
    chosen(found?.customers[found.at]?.customerId ?? event.target.value.trim());
  } else if (event.key === "Escape") change({ found: null });
}

function chosen(customer) {
  document.getElementById("search").value = "";
  session.open(customer);
  requestAnimationFrame(() => document.getElementById("say")?.focus());
}

// ------------------------------------------------------------------------------------------------------------ the desk

function desk(state) {
  return html`<main class="desk">
    ${identity(state)}
    <div class="stack say-column" id="say" tabindex="-1" aria-label=${t("what to say")} role="region">${say(state, session)} ${why(state, session)}</div>
    <div class="stack">${who(state)}</div>
    <div class="stack journey-column">${state.panel ? fire(state, session) : nothing} ${journey(state, session)}</div>
  </main>`;
}

function start() {
  const known = ["anna-ticket", "carla-loyal", "dave-cart", "gina-refused"];
  return html`<main class="start" id="say" tabindex="-1"><h1>${t("welcome")}</h1><p class="muted">${t("begin")}</p>
    ${state.vocabulary?.name === "demo" ? html`<div class="row">${known.map((id) => html`<button class="button" @click=${() => chosen(id)}>${id}</button>`)}</div>` : nothing}
  </main>`;
}

/** What went wrong: what could not be read stays until it is, anything else until it is understood. */
function problems({ problem, unread }) {
  return html`${unread ? html`<p class="notice bad problem" role="alert" data-unread>${t("not read")} ${wrong(unread)}</p>` : nothing}
    ${problem ? html`<p class="notice bad problem" role="alert">${wrong(problem)}
      <button class="button quiet small" @click=${() => change({ problem: null })}>${t("understood")}</button></p>` : nothing}`;
}

// ------------------------------------------------------------------------------------------------------------- begin

const ACTS = {
  search: () => document.getElementById("search").focus(),
  theme: nextTheme,
  panel: togglePanel,
  help: () => change({ dialog: state.dialog === "keys" ? "" : "keys" }),
};

drawnBy((now) => {
  render(page(now), document.body);
  document.querySelector("dialog:not([open])")?.showModal();
});
document.body.replaceChildren();
dressed();
shortcuts((key) => perform(key, ACTS));
addEventListener("popstate", session.goWhereTold);
setInterval(() => change({}), 20_000); // ages grow
change({ panel: setting.get("panel", "") === "open" });
session.begin();

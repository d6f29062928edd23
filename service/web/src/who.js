// Who this is, in three tenses: each fact with its age, source and purpose; what consent hides is shown as hidden.
import { html, nothing } from "lit-html";
import { ago, day, has, number, percent, t } from "./i18n.js";
import { plain } from "./rpc.js";
import { change } from "./state.js";

const SHOWN = 8;
const SCORED = ["REASON_CODE_HIGHEST_NET_VALUE", "REASON_CODE_EXPLORATION"]; // whose fields are all that the model looks at

/** Draw the column. */
export function who(state) {
  if (!state.context) return html`<div class="card empty">${t("reading")}</div>`;
  return ["past", "present", "predicted"].map((tense) => facts(state, tense));
}

/** Draw who it is, and what that person agreed to. */
export function identity({ person, customer, context }) {
  const aliases = (person?.aliases ?? []).map((each) => each.aliasId);
  return html`<section class="card who" aria-labelledby="who">
    <div class="in row">
      <h1 id="who" tabindex="-1">${person?.customerId || customer}</h1>
      ${aliases.length ? html`<p class="small muted">${t("also known as", { ids: aliases.join(", ") })}</p>` : nothing}
      ${context ? html`<span class="chip accent">${t("consent")}: ${context.consentLevel}</span>` : nothing}
    </div>
  </section>`;
}

function facts(state, tense) {
  const fields = (state.context.fields ?? []).filter((field) => field.fieldId.startsWith(`${tense}.`));
  const weigh = weights(state);
  const known = fields.filter((field) => stateOf(field) === "KNOWN").sort((a, b) => weigh(b) - weigh(a));
  const hidden = fields.filter((field) => stateOf(field) === "HIDDEN");
  const rest = fields.filter((field) => !["KNOWN", "HIDDEN"].includes(stateOf(field)));
  const shown = state.all[tense] ? known : known.slice(0, SHOWN);
  return html`<section class="card tense ${tense}" aria-labelledby="tense-${tense}">
    <header><h2 id="tense-${tense}">${t(`tense ${tense}`)}</h2></header>
    <div class="in">
      ${tense === "present" ? seen(state) : nothing}
      <ul class="facts">
        ${shown.map(fact)} ${hidden.map(hiddenFact)}
      </ul>
      ${known.length > SHOWN ? more(state, tense, known.length) : nothing}
      ${known.length + hidden.length === 0 && tense !== "present" ? html`<p class="muted">${t("nothing known")}</p>` : nothing}
      ${rest.length ? unknown(rest) : nothing}
    </div>
  </section>`;
}

const stateOf = (field) => (field.state ?? "").replace("FIELD_KNOWLEDGE_", "");

/** Return how much a field counts here: what the answer rests on before what was looked at, before what is news. */
function weights({ answer, explanation }) {
  const reasons = (answer?.answers ?? []).flatMap((each) => each.reasons ?? []);
  const ground = new Set(reasons.filter((reason) => !SCORED.includes(reason.code)).flatMap((reason) => reason.fields ?? []));
  const used = new Set((explanation?.explanation?.fields ?? []).filter((field) => field.used).map((field) => field.fieldId));
  return ({ fieldId, occurredAt }) => (ground.has(fieldId) ? 2e15 : used.has(fieldId) ? 1e15 : 0) + (Date.parse(occurredAt) || 0);
}

function more(state, tense, many) {
  const open = Boolean(state.all[tense]);
  return html`<button class="button quiet small" aria-expanded=${open} @click=${() => change({ all: { ...state.all, [tense]: !open } })}>
    ${open ? t("show fewer") : t("show all", { n: many })}
  </button>`;
}

function fact(field) {
  return html`<li>
    <div class="fact"><span class="name">${named(field.fieldId)}</span><span class="value">${written(field)}</span></div>
    <div class="origin">
      ${field.occurredAt ? html`<time datetime=${field.occurredAt}>${ago((Date.now() - new Date(field.occurredAt)) / 1000)}</time>` : nothing}
      <span>${source(field)}</span><span>${purpose(field)}</span>
    </div>
  </li>`;
}

function hiddenFact(field) {
  return html`<li class="hidden-fact">
    <div class="fact"><span class="name">${named(field.fieldId)}</span><span class="value">${t("hidden")}</span></div>
    <div class="origin"><span>${t("needs consent", { purpose: t(`purpose ${field.purpose}`) })}</span></div>
  </li>`;
}

function unknown(fields) {
  return html`<details>
    <summary class="small muted">${t("not known", { n: fields.length })}</summary>
    <ul class="facts small">
      ${fields.map((field) => html`<li><div class="fact"><span class="name">${named(field.fieldId)}</span>
        <span class="muted">${t(`knowledge ${stateOf(field)}`)}</span></div></li>`)}
    </ul>
  </details>`;
}

/** Return a field's id as a name to read: `past.open_tickets` becomes `Open tickets`. */
export function named(id) {
  const words = id.replace(/^\w+\./, "").replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Return a field's value as it is read. */
export function written(field) {
  const value = plain(field.value);
  if (typeof value === "number" && field.fieldId?.startsWith("predicted.") && value >= 0 && value <= 1) return percent(value);
  return shownValue(value);
}

/** Return a plain value as it is read. */
export function shownValue(value) {
  if (value === undefined) return t("unknown");
  if (typeof value === "boolean") return t(value ? "yes" : "no");
  if (typeof value === "number") return number(value);
  if (value instanceof Date) return day(value);
  if (Array.isArray(value)) return value.length ? value.map(spaced).join(", ") : t("none");
  return spaced(value);
}

const spaced = (text) => String(text).replaceAll("_", " ");

function source(field) {
  const from = (field.source ?? "").replace("FIELD_SOURCE_", "");
  if (from === "EVENTS") return t("from events", { events: (field.sourceEvents ?? []).join(", ") });
  if (from === "MODEL") return t("from model", { model: (field.modelVersion ?? "").split("@")[0] || "–" });
  return has(`source ${from}`) ? t(`source ${from}`) : from.toLowerCase();
}

const purpose = (field) => t("for purpose", { purpose: t(`purpose ${field.purpose}`) });

// ---------------------------------------------------------------------------------------- what the agent sees now

function seen(state) {
  const fields = (state.vocabulary?.requestFields ?? []).filter((field) => asked(field, state.channel));
  if (!fields.length) return nothing;
  return html`<div class="now" role="group" aria-label=${t("what you see now")}>
    ${fields.map((field) => (isMood(field) ? mood(state, field) : input(state, field)))}
  </div>`;
}

const SCREEN = ["present.page", "present.device"];
const asked = (field, channel) => (channel === "web") === SCREEN.includes(field.id) || !SCREEN.includes(field.id);
const isMood = (field) => field.id.endsWith(".sentiment");

function mood(state, field) {
  const moods = { upset: -0.6, calm: 0.2, happy: 0.7 };
  return html`<div role="group" aria-label=${t("mood")}>
    <span class="small muted">${t("mood")}</span>
    <div class="mood">
      ${Object.entries(moods).map(([name, value]) => html`<button class="button small" aria-pressed=${state.seen[field.id] === value}
        data-mood=${name} @click=${() => set(state, field, value)}>${t(`mood ${name}`)}</button>`)}
    </div>
  </div>`;
}

function input(state, field) {
  const id = `seen-${field.id}`;
  return html`<div>
    <label for=${id}>${named(field.id)}</label>
    ${field.values?.length
      ? html`<select id=${id} .value=${state.seen[field.id] ?? ""} @change=${(event) => set(state, field, event.target.value)}>
          <option value="">${t("not said")}</option>
          ${field.values.map((value) => html`<option value=${value} ?selected=${state.seen[field.id] === value}>${spaced(value)}</option>`)}
        </select>`
      : html`<input id=${id} type=${field.type === "string" ? "text" : "number"} min=${field.low ?? nothing} max=${field.high ?? nothing}
          .value=${String(state.seen[field.id] ?? "")} @change=${(event) => set(state, field, event.target.value)} />`}
  </div>`;
}

function set(state, field, value) {
  const seen = { ...state.seen };
  if (value === "") delete seen[field.id];
  else seen[field.id] = ["int", "double"].includes(field.type) ? Number(value) : value;
  state.seeAgain(seen);
}

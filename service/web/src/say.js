// What to say: the greeting, the offer or why there is none, and what the customer made of it.
import { html, nothing } from "lit-html";
import { moment, t, until } from "./i18n.js";

const ANSWERS = [
  ["ACCEPTED", "2", "primary"],
  ["REFUSED", "3", ""],
  ["NOT_NOW", "4", ""],
  ["NEVER", "5", ""],
];

/** Return what is answered at a placement: its kind (greeting, offer, suppression) and the words. */
export function placed(answer) {
  const kind = answer.greeting ? "greeting" : answer.offer ? "offer" : "suppression";
  return { kind, placement: answer.placement, reasons: answer.reasons ?? [], ...(answer[kind] ?? {}) };
}

/** Draw what is said at each placement, and what was withdrawn. */
export function say(state, act) {
  const { answer } = state;
  return html`
    <div role="alert">${state.withdrawn.length ? withdrawn(state, act) : nothing}</div>
    <p class="small" role="status" ?hidden=${!state.early}>${state.early ? t("too early") : nothing}</p>
    ${state.cause ? html`<p class="small muted" id="cause">${t("changed because", { cause: caused(state), at: moment(state.cause.at) })}</p>` : nothing}
    ${answer?.degraded ? html`<p class="notice warn">${t("degraded")} ${sentences(answer.degradedReasons)}</p>` : nothing}
    <div class="stack" aria-live="polite" aria-relevant="additions text">
      ${answer ? (answer.answers ?? []).map((each) => card(state, placed(each), act)) : html`<div class="card empty">${t("deciding")}</div>`}
    </div>`;
}

const sentences = (reasons = []) => reasons.map((reason) => reason.sentence).join(" ");

/** Return in words what made the answer another one: of an event what it means, and its type. */
function caused({ cause, vocabulary }) {
  const event = vocabulary?.events.find((each) => cause.kind === "EVENT" && each.type === cause.name);
  return event ? `${event.says} (${event.type})` : [t(`cause ${cause.kind}`), cause.name].filter(Boolean).join(": ");
}

const withdrawnName = ({ words, actionId }, actions) => (words ? html`<s>${words}</s>` : html`<b>${actions[actionId]?.says}</b>`);

function withdrawn({ withdrawn: gone, vocabulary }, act) {
  const actions = vocabulary?.actions ?? {};
  return html`<div class="withdrawn">
    <div class="stack">
      <strong>${t("do not say it")}</strong>
      ${gone.map((each) => html`<div data-withdrawn=${each.actionId}>${withdrawnName(each, actions)}
        <span>${each.reasons?.[0]?.sentence || t("no longer valid")}</span></div>`)}
    </div>
    <button class="button small" @click=${act.understood}>${t("understood")} <kbd>u</kbd></button>
  </div>`;
}

function card(state, said, act) {
  if (said.kind === "suppression") return silence(said, act);
  const kind = said.kind === "greeting" ? "greeting" : "offer";
  return html`<section class="card say ${kind} fresh" data-kind=${kind} data-action=${said.actionId} aria-label=${t(`card ${kind}`)}>
    <header>
      <h2>${t(kind === "offer" && !said.sells ? "card message" : `card ${kind}`)}</h2>
      <span class="grow"></span>
      ${(said.intents ?? []).map((intent) => html`<span class="chip">${intent.replaceAll("_", " ")}</span>`)}
    </header>
    <div class="in">
      <p class="words">${said.text}</p>
      <p class="because small">${sentences(said.reasons.slice(0, 1))} ${ask(said, act)}</p>
      ${outcomes(state, said, act)}
    </div>
  </section>`;
}

function silence(said, act) {
  const [why, ...others] = said.reasons;
  const ends = said.until ?? why?.until;
  return html`<section class="card say none fresh" data-kind="suppression" aria-label=${t("card none")}>
    <header><h2>${t("card none")}</h2><span class="grow"></span><span class="chip warn">${t("hold back")}</span></header>
    <div class="in">
      <p class="words">${why?.sentence}</p>
      <p class="because small">
        ${ends ? html`<span data-ends=${ends}>${t("ends at", { when: until(ends) })}</span>` : t("ends with facts")}
        ${said.heldBackActionId ? t("held back", { action: said.heldBackActionId }) : nothing} ${ask(said, act)}
      </p>
      ${others.length ? html`<details class="small muted"><summary>${t("more reasons", { n: others.length })}</summary>
        <ul>${others.map((reason) => html`<li>${reason.sentence}</li>`)}</ul></details>` : nothing}
    </div>
  </section>`;
}

const ask = (said, act) => html`<button class="link" aria-label="${t("why")} (${said.placement})" @click=${() => act.about(said.placement)}>${t("why")}</button>`;

/** Return the answers that can be recorded of something said, with their keys. */
export function choices(said, channel) {
  if (said.kind === "greeting") return [["SHOWN", "s", "said", ""]];
  const heard = channel === "desk" ? "said or shown" : "shown";
  return [["SHOWN", "1", heard, ""], ...ANSWERS.map(([kind, key, look]) => [kind, key, `outcome ${kind}`, look])];
}

function outcomes(state, said, act) {
  const at = state.outcomes[`${state.answer.decisionId}/${said.actionId}`] ?? {};
  if (!state.answer.decisionId) return nothing;
  return html`<div class="row outcomes" role="group" aria-label=${t("what came of it")}>
    ${choices(said, state.channel).map(([kind, key, words, look]) => html`<button class="button small ${look}" data-outcome=${kind}
      aria-pressed=${at[kind] === "stored"} aria-disabled=${at[kind] === "sending"} @click=${() => act.outcome(said, kind)}>
      ${at[kind] === "stored" ? "✓ " : nothing}${t(at[kind] === "sure" ? "once more" : words)} <kbd>${key}</kbd></button>`)}
  </div>`;
}

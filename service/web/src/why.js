// How it came to that: why this, why not each other action, and the smallest change that would make it another answer.
import { html, nothing } from "lit-html";
import { moment, number, percent, t, until } from "./i18n.js";
import { plain } from "./rpc.js";
import { placed } from "./say.js";
import { change } from "./state.js";
import { named, shownValue } from "./who.js";

const OTHERS = 6;

/** Draw the explanation of the last answer. */
export function why(state, act) {
  const told = state.explanation;
  if (!state.answer) return nothing;
  if (!told) return html`<section class="card"><div class="in muted">${t("explaining")}</div></section>`;
  if (told.incomplete) return html`<section class="card"><div class="in notice warn">${told.incomplete}</div></section>`;
  const stories = told.explanation?.placements ?? [];
  const main = asked(state);
  if (!main) return nothing;
  const said = placed(main);
  return html`
    <section class="card" aria-labelledby="why">
      <header><h2 id="why" tabindex="-1">${t("why this")}</h2><span class="chip">${said.placement}</span></header>
      <div class="in">${whyThis(told, said, stories.find((story) => story.placement === said.placement), state.vocabulary?.currency)}</div>
    </section>
    <section class="card" aria-labelledby="change">
      <header><h2 id="change" tabindex="-1">${t("what would change it")}</h2></header>
      <div class="in">${whatWould(state, said, act)}</div>
    </section>
    <section class="card" aria-labelledby="others">
      <header><h2 id="others" tabindex="-1">${t("why not the others")}</h2></header>
      <div class="in">${others(state, told, said, act)}</div>
    </section>`;
}

/** Return the answer whose reasons are shown: the one that was chosen, else the first that is no greeting. */
function asked({ answer, about }) {
  const { answers } = answer;
  return answers.find((each) => each.placement === about) ?? answers.find((each) => !each.greeting) ?? answers[0];
}

function whyThis(told, said, story, currency) {
  const fate = fateOf(told, said.actionId);
  const checks = (fate?.checks ?? []).flatMap((check) => check.comparisons ?? []);
  return html`
    <ul>${said.reasons.map((reason) => html`<li>${reason.sentence} ${ends(reason)}</li>`)}</ul>
    ${story?.askedBy ? html`<p class="small muted">${t("asked by", { sentence: story.askedBy.sentence })}</p>` : nothing}
    ${story?.stages?.length ? funnel(story) : nothing}
    ${fate?.score ? parts(fate.score, currency) : nothing}
    ${checks.length ? html`<ul class="small muted">${checks.map(comparison)}</ul>` : nothing}
    ${told.withheld ? html`<p class="small muted">${t("withheld")}</p>` : nothing}`;
}

const fateOf = (told, action) => (told.explanation?.actions ?? []).find((fate) => fate.actionId === action);
const ends = (reason) => (reason.until ? html`<span class="muted small">(${t("ends at", { when: until(reason.until) })})</span>` : nothing);

function funnel(story) {
  const stages = story.stages.map((stage) => [stage.stage.replace("DECISION_STAGE_", ""), stage.actions ?? 0]);
  return html`<ul class="funnel" aria-label=${t("the way here")}>
    ${stages.map(([stage, left]) => html`<li>${t(`stage ${stage}`)} <b>${left}</b></li>`)}
  </ul>`;
}

function parts(score, currency) {
  const money = (value = 0) => number(value, { style: "currency", currency: currency || "EUR" });
  const shown = [
    ["probability", percent(score.propensity ?? 0), t(score.modelled ? "by the model" : "by the prior")],
    ["value", money(score.value), ""],
    ["reward", money(score.reward), ""],
    ["cost", money(score.cost), ""],
    ["net value", money(score.netValue), ""],
  ];
  return html`<dl class="parts">
    ${shown.map(([name, value, by]) => html`<div><dt>${t(name)}</dt><dd>${value} ${by ? html`<small class="muted">${by}</small>` : nothing}</dd></div>`)}
  </dl>`;
}

function comparison(each) {
  const names = (each.fields ?? []).map(named).join(", ");
  return html`<li>${t("observed", { field: names || each.expression, value: shownValue(plain(each.observed)) })}</li>`;
}

// --------------------------------------------------------------------------------------------------- why not others

function others(state, told, said, act) {
  const fates = (told.explanation?.actions ?? []).filter((fate) => fate.actionId !== said.actionId && here(fate, said.placement));
  fates.sort((a, b) => (a.vetoes?.length ? 1 : 0) - (b.vetoes?.length ? 1 : 0) || (b.netValue ?? 0) - (a.netValue ?? 0));
  const shown = state.all.others ? fates : fates.slice(0, OTHERS);
  if (!fates.length) return html`<p class="muted">${t("no others")}</p>`;
  return html`<ul class="others">${shown.map((fate) => other(state, fate, said, act))}</ul>
    ${fates.length > OTHERS
      ? html`<button class="button quiet small" aria-expanded=${Boolean(state.all.others)} @click=${() => change({ all: { ...state.all, others: !state.all.others } })}>
          ${state.all.others ? t("show fewer") : t("show all", { n: fates.length })}</button>`
      : nothing}`;
}

/** Tell whether an action has words at a placement: where it has none, nobody asks why not. */
const here = (fate, placement) => (fate.placements ?? []).some((p) => p.placement === placement && p.passed && p.passed !== "DECISION_STAGE_UNSPECIFIED");

function other(state, fate, said, act) {
  const place = (fate.placements ?? []).find((p) => p.placement === said.placement);
  const veto = (fate.vetoes ?? [])[0];
  const sentence = veto?.sentence ?? (place?.beatenBy ? t("beaten by", { action: place.beatenBy }) : t("not worth it"));
  return html`<li data-other=${fate.actionId}>
    <div><b>${fate.actionId}</b> <span class="muted small">${sentence}</span> ${veto ? ends(veto) : nothing}
      ${fate.vetoes?.length > 1 ? html`<span class="chip">${t("and more", { n: fate.vetoes.length - 1 })}</span>` : nothing}</div>
    <button class="button quiet small" aria-label="${t("and if")} ${fate.actionId}"
      @click=${() => act.whatIf(fate.actionId, "WIN", said.placement)}>${t("and if")}</button>
    ${state.whatIf[fate.actionId] ? html`<div class="change">${found(state.whatIf[fate.actionId])}</div>` : nothing}
  </li>`;
}

// ----------------------------------------------------------------------------------------------- what would change it

function whatWould(state, said, act) {
  const action = said.actionId ?? said.heldBackActionId;
  if (!action) return html`<p class="muted">${t("nothing held back")}</p>`;
  const goal = said.actionId ? "LOSE" : "WIN";
  const answer = state.whatIf[action];
  return html`<div aria-live="polite">
    <p class="small muted">${t(goal === "WIN" ? "for it to be said" : "for it not to be said", { action })}</p>
    ${answer ? found(answer) : html`<button class="button" data-what-if @click=${() => act.whatIf(action, goal, said.placement)}>${t("look for it")} <kbd>c</kbd></button>`}
  </div>`;
}

function found(answer) {
  if (answer.busy) return html`<p class="muted">${t("looking")}</p>`;
  if (answer.failed) return html`<p class="notice bad">${answer.failed}</p>`;
  const verdict = (answer.verdict ?? "").replace("WHAT_IF_VERDICT_", "");
  if (verdict !== "FOUND") return html`<p data-verdict=${verdict}>${t(`verdict ${verdict}`)} ${(answer.stands ?? []).slice(0, 2).map((reason) => reason.sentence).join(" ")}</p>`;
  return html`<ul class="changes" data-verdict="FOUND">${(answer.changes ?? []).map(factChange)}</ul>
    <p class="small muted">${answer.thenActionId ? t("then said", { action: answer.thenActionId }) : t("then nothing")}</p>`;
}

function factChange(each) {
  if (each.waitUntil) return html`<li>${each.sentence} <span class="muted small">${moment(each.waitUntil)}</span></li>`;
  const values = each.fieldId ? `${named(each.fieldId)}: ${shownValue(plain(each.before))} → ${shownValue(plain(each.after))}` : "";
  return html`<li><span>${each.sentence} ${values ? html`<span class="muted small">${values}</span>` : nothing}</span></li>`;
}

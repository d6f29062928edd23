// What the strategy is for, what it did in the window, and what that was counted from.
import { html, nothing } from "lit-html";
import { ago, moment, number, percent, t } from "../i18n.js";
import { overTime } from "./charts.js";
import { share, sum } from "./reading.js";

/** Draw the head of the page: the strategy in a sentence, the versions, and the figures of the window. */
export function overview({ strategy, insight }) {
  const { steps, basis } = insight;
  const [decisions, said, greetings] = ["decisions", "said", "greetings"].map((name) => sum(steps, name));
  const [accepted, refused, suppressed, degraded] = ["accepted", "refused", "suppressed", "degraded"].map((name) => sum(steps, name));
  return html`<section class="head" aria-labelledby="strategy">
    <div><h1 id="strategy" tabindex="-1">${strategy.says || strategy.name}</h1>
      <p class="row small">
        <span class="chip">${t("Strategy")} ${strategy.version}</span>
        <span class="chip">${strategy.model ? `${t("Model")} ${strategy.model}` : t("No model: the priors of the documents")}</span>
        ${strategy.challenger ? html`<span class="chip accent">${t("Challenger")} ${strategy.challenger}</span>` : nothing}
      </p></div>
    <dl class="figures">
      ${figure(t("Decisions"), number(decisions))}
      ${figure(t("Offers and messages said"), number(said), t("{n} greetings", { n: number(greetings) }))}
      ${figure(t("Nothing said"), number(suppressed), t("{share} of what was asked for", { share: percent(share(suppressed, said + greetings + suppressed)) }))}
      ${figure(t("Accepted"), number(accepted), refused ? t("{n} refused", { n: number(refused) }) : "")}
      ${degraded ? figure(t("Safe answers"), number(degraded), t("something was missing"), "warn") : nothing}
    </dl>
    ${basisOf(basis, insight)}
  </section>`;
}

const figure = (name, value, more = "", tone = "") => html`<div class="figure ${tone}"><dt>${name}</dt><dd><b>${value}</b>${more ? html`<small>${more}</small>` : nothing}</dd></div>`;

function basisOf(basis, { since, until }) {
  const sampled = basis.buckets < basis.allBuckets;
  return html`<p class="small muted" aria-live="polite">
    ${t("From {since} to {until}.", { since: moment(since), until: moment(until) })}
    ${sampled ? t("Counted from {part} of the customers.", { part: percent(share(basis.buckets, basis.allBuckets)) }) : nothing}
    ${t("{n} decisions judged again.", { n: number(basis.judged) })}
    ${basis.complete ? nothing : html`<span class="chip warn">${t("still counting")}</span>`}
    ${basis.unreadable ? html`<span class="chip bad">${t("{n} entries cannot be read", { n: number(basis.unreadable) })}</span>` : nothing}
  </p>`;
}

/** Draw what was said and what came of it over time. */
export function activity({ insight }) {
  const { steps } = insight;
  const series = [["said", t("Offers and messages said"), 1], ["greetings", t("Greetings"), 2], ["suppressed", t("Nothing said"), 3], ["accepted", t("Accepted"), 4]]
    .map(([name, words, colour]) => ({ name: words, colour, line: name === "accepted", values: steps.map((step) => step[name]) }));
  return html`<section class="card" aria-labelledby="activity"><header><h2 id="activity" tabindex="-1">${t("What was said")}</h2></header>
    <div class="in">${overTime({ id: "activity", label: t("What was said"), at: steps.map((step) => step.at), series, stepMinutes: insight.stepMinutes })}</div>
  </section>`;
}

const REASONS = {
  guardrail: ["guardrail", "check_failed"],
  consent: ["no_consent", "no_contact_permission"],
  often: ["cap_reached", "cooling_off", "never_again", "declined", "promised_otherwise", "already_shown"],
  fit: ["not_eligible", "not_applicable", "not_suitable", "no_treatment", "no_longer_offered"],
  unknown: ["guardrail_unknown", "eligibility_unknown", "applicability_unknown", "suitability_unknown"],
  worth: ["nothing_worth_saying"],
};
const MOST_REASONS = 6;

/** Draw why nothing was said, over time, and the reasons that were given most often. */
export function silence({ insight }) {
  const { steps, suppressions } = insight;
  const kinds = Object.keys(REASONS).filter((kind) => suppressions.some((each) => kindOf(each) === kind));
  if (suppressions.some((each) => kindOf(each) === "other")) kinds.push("other");
  const series = kinds.map((kind, place) => ({ name: t(`silent ${kind}`), colour: place + 1, values: steps.map((step, at) => parted(suppressions, kind, step, at)) }));
  return html`<section class="card" aria-labelledby="silence"><header><h2 id="silence" tabindex="-1">${t("Why nothing was said")}</h2></header>
    <div class="in">${series.length ? html`${overTime({ id: "silence", label: t("Why nothing was said"), at: steps.map((step) => step.at), series, stepMinutes: insight.stepMinutes })}
        <details><summary class="small">${t("The reasons given most often")}</summary><ol class="held">${suppressions.slice(0, MOST_REASONS).map((each) => html`<li><span>${each.sentence || t(`silent ${kindOf(each)}`)}</span><b>${number(each.placements)}</b></li>`)}</ol></details>
        <p class="small muted">${t("Where several reasons held at once, the silence is shared between them.")}</p>`
      : html`<p class="empty">${t("Something was said every time.")}</p>`}</div>
  </section>`;
}

const kindOf = (suppression) => Object.keys(REASONS).find((kind) => REASONS[kind].includes(suppression.code)) ?? "other";

/** Return the part of a step's silence that one kind of reason has, to a tenth: as much as its most frequent reason. */
function parted(suppressions, kind, step, at) {
  const most = (wanted) => Math.max(0, ...suppressions.filter((each) => kindOf(each) === wanted).map((each) => each.byStep[at] ?? 0));
  const all = [...Object.keys(REASONS), "other"].reduce((total, each) => total + most(each), 0);
  return Math.round(10 * step.suppressed * share(most(kind), all)) / 10;
}

/** Draw the caps and how hard they press, and the supply. */
export function limits({ strategy, insight, now = Date.now() }) {
  const counted = new Map(insight.rules.map((each) => [each.ruleId, each]));
  const caps = strategy.rules.filter((rule) => rule.kind === "cap");
  return html`<section class="card" aria-labelledby="limits"><header><h2 id="limits" tabindex="-1">${t("Caps and supply")}</h2></header>
    <div class="in stack">
      ${caps.length ? capTable(caps, counted, insight.basis.judged) : html`<p class="empty">${t("The strategy has no caps.")}</p>`}
      ${insight.supplies.length ? supplyTable(insight.supplies, now) : html`<p class="small muted">${t("Nothing that is said takes any supply.")}</p>`}
    </div></section>`;
}

function capTable(caps, counted, judged) {
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${t("Caps")}><table>
    <thead><tr><th scope="col">${t("Cap")}</th><th scope="col" class="num">${t("At most")}</th><th scope="col" class="num">${t("Bound in decisions")}</th><th scope="col" class="num">${t("Pressure")}</th></tr></thead>
    <tbody>${caps.map((cap) => {
      const bound = counted.get(cap.ruleId)?.decisions ?? 0;
      return html`<tr><th scope="row">${cap.says}</th><td class="num">${cap.atMost} / ${span(cap.withinSeconds)}</td>
        <td class="num">${number(bound)}</td><td class="num">${percent(share(bound, judged))}</td></tr>`;
    })}</tbody></table></div>`;
}

const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60]];

const LONGEST_DAY = 25 * 3600;

/** Write how long a window is; a day of the calendar is told as the longest that there is. */
export function span(seconds) {
  if (seconds === LONGEST_DAY) return span(86400);
  const [unit, size] = UNITS.find(([, size]) => seconds >= size && seconds % size === 0) ?? ["second", 1];
  return number(seconds / size, { style: "unit", unit, unitDisplay: "long" });
}

function supplyTable(supplies, now) {
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${t("Supply")}><table>
    <thead><tr><th scope="col">${t("Supply")}</th><th scope="col" class="num">${t("Free")}</th><th scope="col">${t("Pressure")}</th><th scope="col" class="num">${t("Too short in decisions")}</th><th scope="col">${t("Counted")}</th></tr></thead>
    <tbody>${supplies.map((each) => html`<tr><th scope="row">${each.item} · ${each.place}</th><td class="num">${number(each.free)}</td>
      <td><span class="row"><span class="chip ${each.pressure >= 1 ? "bad" : each.pressure > 0 ? "warn" : "good"}">${percent(each.pressure)}</span>
        ${each.pressure >= 1 ? t("nothing left") : each.pressure > 0 ? t("throttled below {n}", { n: number(each.throttleBelow) }) : t("plenty")}</span></td>
      <td class="num">${number(each.short)}</td><td>${each.observedAt ? ago((now - Date.parse(each.observedAt)) / 1000) : t("never")}</td></tr>`)}</tbody></table></div>`;
}

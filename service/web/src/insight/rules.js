// The strategy in its own words: each rule as its documents say it, and how often it bound.
import { html, nothing } from "lit-html";
import { number, percent, t } from "../i18n.js";
import { change } from "../state.js";
import { spark } from "./charts.js";
import { RULE_KINDS, share } from "./reading.js";
import { span } from "./overview.js";

/** Draw the rules, kind by kind. */
export function rules(state) {
  const { strategy, insight } = state;
  const counted = new Map(insight.rules.map((each) => [each.ruleId, each]));
  const known = new Set(strategy.rules.map((rule) => rule.ruleId));
  const builtIn = insight.rules.filter((each) => !known.has(each.ruleId)).map((each) => ({ ...each, says: t(`rule ${each.ruleId}`), actionIds: [], insteadActionIds: [] }));
  const wanted = [...strategy.rules, ...builtIn].filter((rule) => matches(rule, state.query) && (!state.bound || counted.get(rule.ruleId)?.decisions));
  return html`<section class="card" aria-labelledby="rules"><header><h2 id="rules" tabindex="-1">${t("The rules, and how often each one bound")}</h2><span class="grow"></span>
      <span class="row"><label for="rule-query" class="unseen">${t("Find a rule")}</label>
        <input id="rule-query" type="search" placeholder=${t("Find a rule")} .value=${state.query ?? ""} @input=${(event) => change({ query: event.target.value })}>
        <button class="button small" aria-pressed=${Boolean(state.bound)} @click=${() => change({ bound: !state.bound })}>${t("Only those that bound")}</button></span></header>
    <div class="in">${RULE_KINDS.map((kind) => group(kind, wanted.filter((rule) => rule.kind === kind), counted, insight.basis.judged))}
      ${wanted.length ? nothing : html`<p class="empty">${t("No rule is like that.")}</p>`}</div>
  </section>`;
}

function matches(rule, query) {
  const words = `${rule.ruleId} ${rule.says} ${rule.owner ?? ""} ${rule.condition ?? ""}`.toLowerCase();
  return (query ?? "").toLowerCase().split(/\s+/).every((word) => words.includes(word));
}

const NEVER_BIND = ["weight", "exemption"];

function group(kind, found, counted, judged) {
  if (!found.length) return nothing;
  const bound = found.filter((rule) => counted.get(rule.ruleId)?.decisions).length;
  return html`<details class="kind" ?open=${["guardrail", "cap", "cool_off"].includes(kind) || undefined}>
    <summary>${t(`kind ${kind}`)} <span class="chip">${NEVER_BIND.includes(kind) ? found.length : t("{bound} of {n} bound", { bound, n: found.length })}</span></summary>
    <ol class="rules">${found.map((rule) => one(rule, counted.get(rule.ruleId), judged))}</ol>
  </details>`;
}

function one(rule, insight, judged) {
  const bound = insight?.decisions ?? 0;
  return html`<li class=${bound ? "" : "idle"} data-rule=${rule.ruleId}>
    <div class="words"><p>${rule.says}</p>
      <p class="small muted"><code>${rule.ruleId}</code>${rule.owner ? html` · ${rule.owner}` : nothing}${bounds(rule)}</p>
      ${rule.condition || rule.actionIds.length ? more(rule) : nothing}</div>
    ${NEVER_BIND.includes(rule.kind) ? nothing : counts(insight, judged)}
  </li>`;
}

function counts(insight, judged) {
  if (!insight?.decisions) return html`<div class="counted"><small>${t("did not bind")}</small></div>`;
  const { decisions, heldBack, alone, suppressions, byStep } = insight;
  const told = { held: number(heldBack), alone: number(alone), silent: number(suppressions) };
  return html`<div class="counted"><b>${number(decisions)}</b> <small>${t("{share} of decisions", { share: percent(share(decisions, judged)) })}</small>
    ${spark(byStep)} <small>${t("{held} actions held back, {alone} decisions by it alone, {silent} times nothing said", told)}</small></div>`;
}

function bounds(rule) {
  if (rule.kind === "cap") return html` · ${t("{n} in {span}", { n: rule.atMost, span: span(rule.withinSeconds) })}`;
  if (rule.kind === "weight" && rule.factor) return html` · × ${number(rule.factor)}`;
  return nothing;
}

function more(rule) {
  return html`<details class="small"><summary>${t("When, and about what")}</summary>
    ${rule.condition ? html`<pre tabindex="0"><code>${rule.condition}</code></pre>` : nothing}
    ${rule.actionIds.length ? html`<p>${t("About:")} ${rule.actionIds.join(", ")}</p>` : nothing}
    ${rule.insteadActionIds.length ? html`<p>${t("Instead:")} ${rule.insteadActionIds.join(", ")}</p>` : nothing}</details>`;
}

// What can be said, and what becomes of it on the way from being considered to being accepted.
import { html, nothing } from "lit-html";
import { number, percent, t } from "../i18n.js";
import { change } from "../state.js";
import { bar } from "./charts.js";
import { FUNNEL, share, sum } from "./reading.js";

const SHOWN = 12;

/** Draw the funnel of all actions together, and that of each. */
export function actions(state) {
  const { strategy, insight } = state;
  const said = new Map(strategy.actions.map((each) => [each.actionId, each]));
  const kinds = ["offer", "message", "greeting"];
  const kind = state.kind ?? "offer";
  const rows = insight.actions.filter((each) => (said.get(each.actionId)?.kind ?? "offer") === kind).sort(byWon);
  const shown = state.allActions ? rows : rows.slice(0, SHOWN);
  const says = new Map([...strategy.rules.map((rule) => [rule.ruleId, rule.says])]);
  return html`<section class="card" aria-labelledby="actions"><header><h2 id="actions" tabindex="-1">${t("What can be said, and what becomes of it")}</h2><span class="grow"></span>
      <span class="row" role="group" aria-label=${t("Kind")}>${kinds.map((each) => html`<button class="button small" aria-pressed=${each === kind} @click=${() => change({ kind: each, allActions: false })}>${t(`kind ${each}`)}</button>`)}</span></header>
    <div class="in">${funnel(rows)}
      <div class="scroll" tabindex="0" role="region" aria-labelledby="actions"><table class="actions">
        <thead><tr><th scope="col">${t("Action")}</th>${FUNNEL.map((step) => html`<th scope="col" class="num">${t(`step ${step}`)}</th>`)}</tr></thead>
        <tbody>${shown.map((row) => action(row, said.get(row.actionId), says, state))}</tbody></table></div>
      ${rows.length > SHOWN ? html`<button class="button quiet small" aria-expanded=${Boolean(state.allActions)} @click=${() => change({ allActions: !state.allActions })}>${state.allActions ? t("Show fewer") : t("Show all {n}", { n: rows.length })}</button>` : nothing}
    </div></section>`;
}

const byWon = (one, other) => other.won - one.won || other.considered - one.considered || one.actionId.localeCompare(other.actionId);

/** Draw how many of those considered are left at each step. */
function funnel(rows) {
  const sums = FUNNEL.map((step) => sum(rows, step));
  const [considered] = sums;
  return html`<ol class="funnel-all">${FUNNEL.map((step, place) => html`<li><span class="row"><b>${number(sums[place])}</b><span>${t(`step ${step}`)}</span></span>
    ${bar(share(sums[place], considered), `f${place}`)}
    <small class="muted">${place ? t("{share} of the step before", { share: percent(share(sums[place], sums[place - 1])) }) : t("action times decision")}</small></li>`)}</ol>`;
}

function action(row, said, says, state) {
  const open = state.action === row.actionId;
  return html`<tr class=${row.won ? "" : "idle"} data-action=${row.actionId}><th scope="row">
      <button class="link" aria-expanded=${open} aria-controls="more-${row.actionId}" @click=${() => change({ action: open ? "" : row.actionId })}>${row.actionId}</button>
      <span class="small muted">${said?.says ?? ""}</span></th>
      ${FUNNEL.map((step) => html`<td class="num">${number(row[step])}${bar(share(row[step], row.considered), `f${FUNNEL.indexOf(step)}`)}</td>`)}</tr>
    ${open ? html`<tr id="more-${row.actionId}" class="more"><td colspan=${FUNNEL.length + 1}>${details(row, said, says, state.strategy.currency)}</td></tr>` : nothing}`;
}

function details(row, said, says, currency) {
  const money = (value) => number(value, { style: "currency", currency: currency || "EUR" });
  const most = row.heldBack[0]?.decisions ?? 0;
  return html`<div class="columns"><div><h3 class="small">${t("What held it back")}</h3>
      ${row.heldBack.length ? html`<ol class="held">${row.heldBack.slice(0, 8).map((each) => html`<li><span>${says.get(each.ruleId) ?? t(`rule ${each.ruleId}`)} <code class="muted">${each.ruleId}</code></span><b>${number(each.decisions)}</b>${bar(share(each.decisions, most), "bad")}</li>`)}</ol>` : html`<p class="muted">${t("Nothing did.")}</p>`}</div>
    <div><h3 class="small">${t("What it is worth")}</h3><dl class="pairs">
      <dt>${t("Value, reward, cost")}</dt><dd>${[said?.value ?? 0, said?.reward ?? 0, said?.cost ?? 0].map(money).join(" · ")}</dd>
      ${row.meanPropensity === undefined ? nothing : html`<dt>${t("Mean propensity when it was said")}</dt><dd>${percent(row.meanPropensity)}</dd>`}
      <dt>${t("Net value expected, all together")}</dt><dd>${money(row.netValue)}</dd>
      <dt>${t("Outcomes, all together")}</dt><dd>${money(row.amount)}</dd>
      <dt>${t("Refused")}</dt><dd>${number(row.refused)}</dd></dl>
      <h3 class="small">${t("Its words")}</h3><ul>${(said?.treatments ?? []).map((each) => html`<li><span class="chip">${each.channel} · ${each.placement}</span> ${each.text}</li>`)}</ul></div></div>`;
}

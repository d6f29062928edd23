// The journey with the three kinds of customer data on one map: what customers tell us, what we hold, how we perform.
import { html, nothing } from "lit-html";
import { percent, t } from "../i18n.js";
import { change } from "../state.js";
import { bar } from "./charts.js";
import { DATA_KINDS, share } from "./reading.js";

/** Draw the map: stages from left to right, a row for each kind of data, and what is known of it when deciding. */
export function journeyMap(state) {
  const { strategy, insight } = state;
  const known = new Map(insight.data.map((each) => [each.fieldId, share(each.known, each.known + each.unknown)]));
  const stages = [...strategy.stages, ...(strategy.events.some((each) => !each.stage) ? [""] : [])];
  const kinds = DATA_KINDS.filter((kind) => strategy.events.some((each) => each.data === kind));
  return html`<section class="card" aria-labelledby="map"><header><h2 id="map" tabindex="-1">${t("The journey, and the three kinds of customer data on it")}</h2></header>
    <div class="in">
      <p class="row small muted"><span class="moment" aria-hidden="true"></span>${t("A moment of truth: a guardrail looks at it.")} ${t("The bar says how often it was known when something was decided.")}</p>
      <div class="scroll" tabindex="0" role="region" aria-labelledby="map"><table class="map">
        <thead><tr><th scope="col"><span class="unseen">${t("Kind of data")}</span></th>${stages.map((stage) => html`<th scope="col">${stageName(stage)}</th>`)}</tr></thead>
        <tbody>${kinds.map((kind) => html`<tr class="data-${kind || "other"}"><th scope="row">${t(`data ${kind || "other"}`)}<small>${t(`data ${kind || "other"} says`)}</small></th>
          ${stages.map((stage) => html`<td><ul>${strategy.events.filter((each) => each.data === kind && each.stage === stage).map((each) => event(each, known, state))}</ul></td>`)}</tr>`)}</tbody>
      </table></div>
      ${chosen(state, known)}
    </div></section>`;
}

function stageName(stage) {
  if (!stage) return t("At any time");
  const words = stage.replaceAll("_", " ").replaceAll("-", " ");
  return words[0].toUpperCase() + words.slice(1);
}

function event(each, known, state) {
  const shares = each.fieldIds.map((field) => known.get(field) ?? 0);
  const open = state.event === each.type;
  const best = Math.max(0, ...shares);
  return html`<li><button class="event" aria-expanded=${open} aria-controls="event" title=${each.says} @click=${() => change({ event: open ? "" : each.type })}>
    ${each.guardrailIds.length ? html`<span class="moment"></span><span class="unseen">${t("moment of truth")}: </span>` : nothing}${each.type.split(".").map((part, at) => (at ? html`.<wbr>${part}` : part))}
    <span class="unseen">, ${t("known in {share}", { share: percent(best) })}</span>${bar(best)}</button></li>`;
}

function chosen(state, known) {
  const each = state.strategy.events.find((event) => event.type === state.event);
  if (!each) return html`<div id="event" hidden></div>`;
  const fields = new Map(state.strategy.fields.map((field) => [field.fieldId, field]));
  const says = new Map(state.strategy.rules.map((rule) => [rule.ruleId, rule.says]));
  return html`<div id="event" class="notice chosen" aria-live="polite"><h3>${each.type}</h3><p>${each.says}</p>
    <div class="columns"><div><h4 class="small muted">${t("What we know from it")}</h4><ul>${each.fieldIds.map((field) => html`<li class="row"><span class="grow">${fields.get(field)?.says ?? field} <code class="muted small">${field}</code></span>
      <span class="chip">${fields.get(field)?.purpose ?? ""}</span><b>${percent(known.get(field) ?? 0)}</b></li>`)}</ul></div>
    <div><h4 class="small muted">${t("Which guardrails look at it")}</h4>${each.guardrailIds.length ? html`<ul>${each.guardrailIds.map((rule) => html`<li>${says.get(rule) ?? rule}</li>`)}</ul>` : html`<p class="muted">${t("None does.")}</p>`}</div></div></div>`;
}

// Which versions decided, what the challenger makes of it, and whether what was predicted came.
import { html, nothing } from "lit-html";
import { moment, number, percent, t } from "../i18n.js";
import { bar, pair, trend } from "./charts.js";
import { share } from "./reading.js";

const region = (label, table) => html`<div class="scroll" tabindex="0" role="region" aria-label=${label}>${table}</div>`;

/** Draw the versions that decided. */
export function versions({ insight }) {
  const all = insight.versions.reduce((total, each) => total + each.decisions, 0);
  return html`<section class="card" aria-labelledby="versions"><header><h2 id="versions" tabindex="-1">${t("Versions that decided")}</h2></header>
    <div class="in">${insight.versions.length ? region(t("Versions that decided"), html`<table>
      <thead><tr><th scope="col">${t("Strategy")}</th><th scope="col">${t("Model")}</th><th scope="col" class="num">${t("Decisions")}</th><th scope="col">${t("From")}</th><th scope="col">${t("To")}</th></tr></thead>
      <tbody>${insight.versions.map((each) => html`<tr><th scope="row"><code>${each.strategy}</code> ${each.inForce ? html`<span class="chip good">${t("in force")}</span>` : nothing}</th>
        <td>${each.model ? html`<code>${each.model}</code>` : html`<span class="muted">${t("priors")}</span>`}</td><td class="num">${number(each.decisions)}${bar(share(each.decisions, all))}</td><td>${moment(each.firstAt)}</td><td>${moment(each.lastAt)}</td></tr>`)}</tbody></table>`)
      : html`<p class="empty">${t("Nothing was decided.")}</p>`}</div></section>`;
}

/** Draw the challenger beside the model in force. */
export function shadow({ insight, strategy }) {
  const { shadow: seen } = insight;
  return html`<section class="card" aria-labelledby="shadow"><header><h2 id="shadow" tabindex="-1">${t("The challenger beside the champion")}</h2></header>
    <div class="in">${seen ? beside(seen, strategy.model) : html`<p class="empty">${t("No challenger is scored beside the model in force. tact serve --challenger names one.")}</p>`}</div></section>`;
}

function beside(seen, champion) {
  const most = Math.max(...seen.actions.flatMap((each) => [each.championPropensity, each.challengerPropensity]), 0.01);
  return html`<p class="verdict"><b>${percent(share(seen.same, seen.placements))}</b> ${t("the same first choice, at {n} placements", { n: number(seen.placements) })}</p>
    <p class="row small"><span class="chip"><i class="key first"></i>${t("Champion")} ${champion}</span><span class="chip"><i class="key second"></i>${t("Challenger")} ${seen.model}</span>
      ${seen.failed ? html`<span class="chip bad">${t("{n} times it could not be asked", { n: number(seen.failed) })}</span>` : nothing}</p>
    ${region(t("The challenger beside the champion"), html`<table><thead><tr><th scope="col">${t("Action")}</th><th scope="col" class="wide"><span class="unseen">${t("Both on one scale")}</span></th><th scope="col" class="num">${t("Champion")}</th><th scope="col" class="num">${t("Challenger")}</th><th scope="col" class="num">${t("Put first by each")}</th></tr></thead>
      <tbody>${[...seen.actions].sort((one, other) => other.times - one.times).slice(0, 15).map((each) => html`<tr><th scope="row">${each.actionId}</th><td>${pair(each.championPropensity, each.challengerPropensity, most)}</td>
        <td class="num">${percent(each.championPropensity)}</td><td class="num">${percent(each.challengerPropensity)}</td><td class="num">${number(each.championFirst)} · ${number(each.challengerFirst)}</td></tr>`)}</tbody></table>`)}`;
}

/** Draw whether what was predicted came, and what was known when deciding. */
export function drift({ insight, strategy }) {
  const most = Math.max(...insight.drift.flatMap((each) => [each.predicted, each.cameHigh]), 0.01);
  const rows = [...insight.drift].sort((one, other) => Number(other.outside ?? false) - Number(one.outside ?? false) || other.said - one.said);
  return html`<section class="card" aria-labelledby="drift"><header><h2 id="drift" tabindex="-1">${t("Did what was predicted come?")}</h2></header>
    <div class="in">${rows.length ? region(t("Did what was predicted come?"), html`<table><thead><tr><th scope="col">${t("Action")}</th><th scope="col" class="num">${t("Said")}</th><th scope="col" class="wide"><span class="unseen">${t("Both on one scale")}</span></th><th scope="col" class="num"><i class="key first"></i> ${t("Predicted")}</th><th scope="col" class="num"><i class="key second"></i> ${t("Came, with 95 % certainty")}</th><th scope="col">${t("Verdict")}</th></tr></thead>
      <tbody>${rows.map((each) => html`<tr><th scope="row">${each.actionId}</th><td class="num">${number(each.said)}</td><td>${pair(each.predicted, each.came, most, each.cameLow, each.cameHigh)}</td>
        <td class="num">${percent(each.predicted)}</td><td class="num">${percent(each.came)} <small class="muted">${percent(each.cameLow)}–${percent(each.cameHigh)}</small></td>
        <td>${each.outside ? html`<span class="chip bad">${t("drifts")}</span>` : each.said < 30 ? html`<span class="chip">${t("too few yet")}</span>` : html`<span class="chip good">${t("as predicted")}</span>`}</td></tr>`)}</tbody></table>`)
      : html`<p class="empty">${t("Nothing that a model predicted was said yet.")}</p>`}
      ${knownFields(insight.data, strategy)}</div></section>`;
}

function knownFields(data, strategy) {
  const fields = new Map(strategy.fields.map((field) => [field.fieldId, field]));
  return html`<details><summary class="small">${t("What was known of customers when deciding")}</summary>${region(t("What was known of customers when deciding"), html`<table>
    <thead><tr><th scope="col">${t("Field")}</th><th scope="col">${t("Purpose")}</th><th scope="col" class="num">${t("Known")}</th><th scope="col" class="num">${t("Mean")}</th><th scope="col">${t("Mean over time")}</th></tr></thead>
    <tbody>${data.map((each) => html`<tr><th scope="row"><code>${each.fieldId}</code> <span class="small muted">${fields.get(each.fieldId)?.says ?? ""}</span></th><td>${fields.get(each.fieldId)?.purpose ?? ""}</td>
      <td class="num">${percent(share(each.known, each.known + each.unknown))}</td><td class="num">${each.mean === undefined ? "" : number(each.mean)}</td><td>${trend(each.means, each.counts)}</td></tr>`)}</tbody></table>`)}</details>`;
}

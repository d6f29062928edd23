// The journey: what happened, what was said and what came of it, the newest first, with its moments of truth.
import { html, nothing } from "lit-html";
import { ago, moment, t } from "./i18n.js";

/** Draw the column. */
export function journey(state, act) {
  const { journey } = state;
  return html`<section class="card" aria-labelledby="journey">
    <header><h2 id="journey" tabindex="-1">${t("journey")}</h2></header>
    <div class="in">
      ${journey?.hiddenEventTypes?.length ? hidden(journey.hiddenEventTypes) : nothing}
      ${journey?.entries?.length ? html`<ol class="timeline">${journey.entries.map((each) => entry(each, state))}</ol>` : html`<p class="muted">${t(journey ? "no journey" : "reading")}</p>`}
      ${journey?.nextPageToken ? html`<button class="button quiet small" @click=${act.older}>${t("older")}</button>` : nothing}
    </div>
  </section>`;
}

function hidden(types) {
  return html`<details class="small muted"><summary>${t("events hidden", { n: types.length })}</summary>${types.join(", ")}</details>`;
}

function entry(each, state) {
  const kind = each.event ? "event" : each.decision ? "decision" : each.outcome ? "outcome" : "consent";
  const far = (Date.now() - new Date(each.at)) / 1000;
  return html`<li class="${kind} ${each.momentOfTruth ? "truth" : ""}" data-entry=${kind}>
    <time datetime=${each.at} title=${ago(far)}>${moment(each.at)}</time>
    <div>${WORDS[kind](each[kind], state)}
      ${each.momentOfTruth ? html`<span class="mark">◆ ${t("moment of truth")}</span>` : nothing}</div>
  </li>`;
}

const WORDS = {
  event: (event) => html`${event.says || event.type}`,
  decision: (decision) => html`<b>${t("decided", { channel: decision.channel })}</b>
    ${(decision.placements ?? []).map((placement) => html`<div class="small muted">${placement.placement}: ${placement.hidden ? t("hidden") : placement.says || placement.actionId || silence(placement)}</div>`)}`,
  outcome: (outcome, { vocabulary }) => html`<b>${t(`outcome ${outcome.kind.replace("OUTCOME_KIND_", "")}`)}</b>: ${outcome.hidden ? t("hidden") : vocabulary?.actions[outcome.actionId]?.says || outcome.actionId}`,
  consent: (consent) => html`<b>${t("consent")}</b>: ${consent.levelBefore ? `${consent.levelBefore} → ` : ""}${consent.level}`,
};

const silence = (placement) => html`${t("nothing said")}${placement.reasons?.length ? ` – ${placement.reasons[0].sentence}` : ""}`;

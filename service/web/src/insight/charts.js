// Charts: bars over time on a canvas, small lines and bars as SVG. Each has the same numbers as a table beside it.
import { html, nothing, svg } from "lit-html";
import uPlot from "uplot";
import { language, locale, number, t } from "../i18n.js";

const HEIGHT = 210;
const shown = new WeakMap();

/**
 * Draw stacked bars over time, and lines above them, with a legend that tells the numbers under the pointer, and a table.
 *
 * `at` are the moments of the steps; each series has a name, its values, the number of its colour, and `line` for a line.
 */
export function overTime({ id, label, at, series, stepMinutes }) {
  const bars = series.filter((one) => !one.line);
  const spec = { at, series, bars, stepMinutes, data: stacked(at, series, bars) };
  return html`<figure class="chart" aria-labelledby="${id}-label">
    <figcaption id="${id}-label" class="unseen">${label}</figcaption>
    <ul class="legend">${series.map((one) => html`<li><i class="key c${one.colour}" ?data-line=${one.line}></i>${one.name}
      <b data-series=${one.name} .textContent=${number(total(one.values))}></b></li>`)}<li class="muted" data-moment></li></ul>
    <div class="plot" role="img" aria-label=${summary(label, series)} .chart=${spec}></div>
    ${asTable(label, at, series)}
  </figure>`;
}

const total = (values) => values.reduce((all, one) => all + one, 0);
const summary = (label, series) => `${label}: ${series.map((one) => `${one.name} ${number(total(one.values))}`).join(", ")}`;

function stacked(at, series, bars) {
  const sums = at.map(() => 0);
  const tops = bars.map((one) => one.values.map((value, place) => (sums[place] += value)));
  const lines = series.filter((one) => one.line).map((one) => one.values);
  return [at.map((moment) => Date.parse(moment) / 1000), ...tops.reverse(), ...lines];
}

/** Draw the charts of a page whose places are there. */
export function drawCharts() {
  for (const place of document.querySelectorAll(".plot")) hold(place, place.chart);
}

/** Give the chart of a place what it is to show, made anew where its looks changed, when the place has a width. */
function hold(place, spec) {
  const known = shown.get(place) ?? {};
  const looks = [looksNow(), ...spec.series.map((one) => one.name + one.colour)].join();
  if (known.plot && known.looks === looks) {
    known.spec = spec;
    known.plot.setData(spec.data);
    return;
  }
  known.plot?.destroy();
  shown.set(place, Object.assign(known, { spec, looks, plot: null }));
  known.sized ??= new ResizeObserver(([{ contentRect }]) => fit(place, known, Math.floor(contentRect.width)));
  known.sized.unobserve(place);
  known.sized.observe(place);
}

const looksNow = () => [language(), document.documentElement.dataset.theme, matchMedia("(prefers-color-scheme: dark)").matches].join();

function fit(place, known, width) {
  if (width < 1) return;
  if (known.plot) known.plot.setSize({ width, height: HEIGHT });
  else known.plot = new uPlot(options(place, known, width), known.spec.data, place);
}

function options(place, known, width) {
  const ink = (name) => getComputedStyle(place).getPropertyValue(name).trim();
  const resolved = (name) => coloured(place, ink(name));
  const axis = { stroke: resolved("--muted"), grid: { stroke: resolved("--line"), width: 1 }, ticks: { show: false }, font: `12px ${getComputedStyle(place).fontFamily}` };
  const fill = (one) => resolved(`--c${one.colour}`);
  const bar = uPlot.paths.bars({ size: [0.86, 48], align: 1, radius: 0.08 });
  return {
    width,
    height: HEIGHT,
    padding: [10, 26, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    scales: { x: { range: (_, low, high) => [low, Math.max(high, low) + known.spec.stepMinutes * 60] }, y: { range: (_, __, high) => [0, Math.max(4, high * 1.08)] } },
    axes: [
      { ...axis, space: 70, values: (_, splits) => splits.map(hourOrDay) },
      { ...axis, size: 46, values: (_, splits) => splits.map((value) => (Number.isInteger(value) ? number(value) : "")) },
    ],
    series: [
      {},
      ...[...known.spec.bars].reverse().map((one) => ({ label: one.name, stroke: fill(one), fill: fill(one), width: 0, paths: bar, points: { show: false } })),
      ...known.spec.series.filter((one) => one.line).map((one) => ({ label: one.name, stroke: fill(one), width: 2, points: { show: known.spec.at.length < 40, size: 6, fill: fill(one) } })),
    ],
    hooks: { setCursor: [(plot) => readOut(place, known.spec, plot.cursor.idx)] },
  };
}

/** Return a colour as a canvas takes it, for a token that may be `light-dark(…)`. */
function coloured(place, colour) {
  const probe = document.createElement("i");
  probe.style.color = colour;
  place.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function hourOrDay(seconds) {
  const when = new Date(seconds * 1000);
  const midnight = when.getHours() === 0 && when.getMinutes() === 0;
  const told = midnight ? { day: "numeric", month: "short" } : { hour: "2-digit", minute: "2-digit" };
  return new Intl.DateTimeFormat(locale(), told).format(when);
}

/** Tell in the legend what stands under the pointer, and the totals where none does. */
function readOut(place, spec, at) {
  const figure = place.closest("figure");
  if (!figure) return;
  const there = at !== null && at !== undefined && at < spec.at.length;
  for (const one of spec.series) {
    const cell = [...figure.querySelectorAll("[data-series]")].find((each) => each.dataset.series === one.name);
    if (cell) cell.textContent = number(there ? one.values[at] : total(one.values));
  }
  figure.querySelector("[data-moment]").textContent = there ? stepName(spec.at[at]) : "";
}

const stepName = (moment) => new Intl.DateTimeFormat(locale(), { dateStyle: "short", timeStyle: "short" }).format(new Date(moment));

function asTable(label, at, series) {
  const rows = at.map((moment, place) => [moment, series.map((one) => one.values[place])]).filter(([, values]) => values.some(Boolean));
  return html`<details class="as-table"><summary class="small">${t("As a table")}</summary>
    <div class="scroll" tabindex="0" role="region" aria-label="${label}: ${t("As a table")}"><table>
      <thead><tr><th scope="col">${t("From")}</th>${series.map((one) => html`<th scope="col" class="num">${one.name}</th>`)}</tr></thead>
      <tbody>${rows.map(([moment, values]) => html`<tr><th scope="row">${stepName(moment)}</th>${values.map((value) => html`<td class="num">${number(value)}</td>`)}</tr>`)}</tbody>
    </table></div></details>`;
}

/** Draw a small line of what happened step by step; the number beside it says what it comes to. */
export function spark(values) {
  if (values.length < 2 || !values.some(Boolean)) return html`<svg class="spark" aria-hidden="true"></svg>`;
  const most = Math.max(...values);
  const width = 100 / values.length;
  const bars = values.map((value, place) => (value ? svg`<rect x=${place * width} width=${width * 0.85} y=${24 - (22 * value) / most} height=${(22 * value) / most}></rect>` : nothing));
  return html`<svg class="spark" viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true">${bars}</svg>`;
}

/** Draw how a mean moved, between its lowest and its highest; steps without any are passed over. */
export function trend(values, counts) {
  const there = values.map((value, at) => [at, value]).filter(([at]) => counts[at]);
  const [low, high] = [Math.min(...there.map(([, value]) => value)), Math.max(...there.map(([, value]) => value))];
  const points = there.map(([at, value]) => `${(100 * (at + 0.5)) / values.length},${high > low ? 21 - (18 * (value - low)) / (high - low) : 12}`);
  return html`<svg class="spark" viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true">${points.length > 1 ? svg`<polyline points=${points.join(" ")}></polyline>` : nothing}</svg>`;
}

/** Draw a bar for a share from 0 to 1. */
export const bar = (part, tone = "") => html`<svg class="bar-of ${tone}" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
  <rect class="all" width="100" height="6" rx="1"></rect><rect class="part" width=${Math.min(100, 100 * part)} height="6" rx="1"></rect></svg>`;

/** Draw where two numbers lie on a scale from 0 to `most`, and between which bounds the second one may. */
export function pair(first, second, most, low = second, high = second) {
  const at = (value) => 3 + (94 * value) / (most || 1);
  return html`<svg class="pair" viewBox="0 0 100 14" preserveAspectRatio="none" aria-hidden="true">
    <line class="rail" x1="3" x2="97" y1="7" y2="7"></line>
    <line class="span" x1=${at(low)} x2=${at(high)} y1="7" y2="7"></line>
    <line class="second" x1=${at(second)} x2=${at(second)} y1="2" y2="12"></line>
    <line class="first" x1=${at(first)} x2=${at(first)} y1="2" y2="12"></line></svg>`;
}

// The words of the pages, by catalogue, and numbers and moments as the language writes them.
import de from "./words/de.json";
import en from "./words/en.json";

const CATALOGUES = { en, de };
const LANGUAGE = "tact.language";

/** The languages that there is a catalogue for, by their own names. */
export const LANGUAGES = { en: "English", de: "Deutsch" };

let chosen = LANGUAGES[localStorage.getItem(LANGUAGE)] ? localStorage.getItem(LANGUAGE) : preferred();

function preferred() {
  const wanted = navigator.languages.map((tag) => tag.slice(0, 2));
  return wanted.find((tag) => tag in CATALOGUES) ?? "en";
}

/** The language that the page is in. */
export const language = () => chosen;

/** The language as this browser's country writes numbers and moments in it, such as `en-GB`. */
export const locale = () => navigator.languages.find((tag) => tag.startsWith(`${chosen}-`)) ?? chosen;

/** Show the page in a language from now on, and remember it. */
export function speak(tag) {
  chosen = tag in CATALOGUES ? tag : "en";
  localStorage.setItem(LANGUAGE, chosen);
  document.documentElement.lang = chosen;
}
document.documentElement.lang = chosen;

/** Return the words under a key, with {names} filled in; `one` and `other` are chosen by `n` as the language counts. */
export function t(key, given = {}) {
  let words = CATALOGUES[chosen][key] ?? en[key] ?? key;
  if (typeof words === "object") words = words[new Intl.PluralRules(chosen).select(given.n)] ?? words.other;
  return words.replace(/\{(\w+)\}/g, (whole, name) => (name in given ? given[name] : whole));
}

/** Add the words of a page that has some of its own: a catalogue by language. */
export function teach(words) {
  for (const [tag, catalogue] of Object.entries(words)) Object.assign(CATALOGUES[tag], catalogue);
}

/** Tell whether the catalogue has a key. */
export const has = (key) => key in en;

/** Write a number. */
export const number = (value, options = { maximumFractionDigits: 2 }) =>
  new Intl.NumberFormat(locale(), options).format(value);

/** Write a share from 0 to 1 as a percentage. */
export const percent = (value) => number(value, { style: "percent", maximumFractionDigits: value < 0.1 ? 1 : 0 });

/** Write a moment, with the day unless it is today. */
export function moment(value) {
  const when = new Date(value);
  const today = when.toDateString() === new Date().toDateString();
  const day = today ? {} : { day: "numeric", month: "short", ...(thisYear(when) ? {} : { year: "numeric" }) };
  return new Intl.DateTimeFormat(locale(), { ...day, hour: "2-digit", minute: "2-digit" }).format(when);
}

/** Write a day. */
export const day = (value) => new Intl.DateTimeFormat(locale(), { dateStyle: "medium" }).format(new Date(value));

const thisYear = (when) => when.getFullYear() === new Date().getFullYear();

const STEPS = [
  ["year", 365 * 86400],
  ["month", 30 * 86400],
  ["week", 7 * 86400],
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
];

/** Write how long ago something was (seconds above zero), or how long it takes until it is (below). */
export function ago(seconds) {
  const [unit, size] = STEPS.find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
  const many = Math.trunc(-seconds / size);
  if (unit === "second") return seconds >= 0 ? t("just now") : t("in a moment");
  return new Intl.RelativeTimeFormat(locale(), { numeric: "always", style: "long" }).format(many, unit);
}

/** Write when something ends: the moment, and how far that is. */
export const until = (value) => `${moment(value)} (${ago((Date.now() - new Date(value)) / 1000)})`;

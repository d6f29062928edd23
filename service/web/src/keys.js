// The keyboard: what each key does, and how to switch single keys off.
import { html, nothing } from "lit-html";
import { t } from "./i18n.js";
import { choices, placed } from "./say.js";
import * as session from "./session.js";
import { SETTLED_MS, change, setting, state } from "./state.js";

const KEYS = ["/", "s", "1", "2", "3", "4", "5", "w", "c", "o", "j", "e", "u", "t", "?"];
const HEADINGS = { w: "why", c: "change", o: "others", j: "journey" };

/** Hear keys, where nobody is writing and they are not switched off; `?` is heard in any case. */
export function shortcuts(act) {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
    if (!KEYS.includes(event.key) || (!on() && event.key !== "?")) return;
    event.preventDefault();
    if (!event.repeat) act(event.key);
  });
}

const on = () => setting.get("keys", "on") === "on";

/** Do what a key stands for. */
export function perform(key, acts) {
  if (key === "/") return acts.search();
  if (key === "t") return acts.theme();
  if (key === "e") return acts.panel();
  if (key === "?") return acts.help();
  if (key === "u") return session.understood();
  if (key === "c") searchChange();
  if (key in HEADINGS) return document.getElementById(HEADINGS[key])?.focus();
  return answer(key);
}

function searchChange() {
  document.querySelector("[data-what-if]")?.click();
}

/** Record the outcome that the key names, of whichever card offers it, unless the card is too new to be meant. */
function answer(key) {
  if (performance.now() - state.changedAt < SETTLED_MS) return change({ early: true });
  change({ early: false });
  for (const said of (state.answer?.answers ?? []).map(placed)) {
    const choice = said.actionId && choices(said, state.channel).find(([, its]) => its === key);
    if (choice && said.kind !== "suppression") return session.outcome(said, choice[0]);
  }
}

/** Draw what the keys do. */
export function keys(state) {
  if (state.dialog !== "keys") return nothing;
  return html`<dialog aria-labelledby="keys-title" @close=${() => change({ dialog: "" })}>
    <h3 id="keys-title">${t("keys")}</h3>
    <dl class="keys">${KEYS.map((key) => html`<dt><kbd>${key}</kbd></dt><dd>${t(`key ${key}`)}</dd>`)}</dl>
    <p><label><input type="checkbox" .checked=${on()} @change=${(event) => setting.set("keys", event.target.checked ? "on" : "off")} /> ${t("single keys")}</label></p>
    <button class="button" autofocus @click=${() => change({ dialog: "" })}>${t("close")}</button>
  </dialog>`;
}

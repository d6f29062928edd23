// Who works here: the token is asked for where the service wants one, and can be given back at any time.
import { html, nothing } from "lit-html";
import { t } from "./i18n.js";
import { signedIn } from "./rpc.js";
import { change } from "./state.js";

/** Draw the button to sign in or out, where the service asks who calls. */
export function door(state, leave) {
  if (!signedIn() && !state.tokens) return nothing;
  return signedIn()
    ? html`<button class="button quiet small" data-door="out" @click=${leave}>${t("sign out")}</button>`
    : html`<button class="button quiet small" data-door="in" @click=${() => change({ dialog: "token" })}>${t("sign in")}</button>`;
}

/** Return what went wrong in words: what it means, and what the service said. */
export function wrong({ code, words }) {
  const meaning = t(`problem ${code}`);
  return `${meaning.startsWith("problem ") ? "" : meaning} ${words}`.trim();
}

/** Draw the question for a token, with why the one before did not do; `enter` takes it. */
export function token(state, enter) {
  if (state.dialog !== "token") return nothing;
  const told = state.problem && (signedIn() || state.problem.code !== "unauthenticated");
  return html`<dialog aria-labelledby="token-title" @close=${() => change({ dialog: "" })}><form class="stack" @submit=${(event) => signing(event, enter)}>
    <h3 id="token-title">${t("sign in")}</h3><p class="muted small">${t("sign in how")}</p>
    ${told ? html`<p class="notice bad problem" role="alert">${wrong(state.problem)}</p>` : nothing}
    <label for="token">${t("token")}</label><input id="token" type="password" autocomplete="off" required autofocus />
    <div class="row"><button class="button primary">${t("sign in")}</button></div>
  </form></dialog>`;
}

function signing(event, enter) {
  event.preventDefault();
  enter(document.getElementById("token").value.trim());
}

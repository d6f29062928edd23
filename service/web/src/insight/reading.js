// What the service answers, with numbers as numbers and what it leaves out, because it is nought or empty, put back.

const KINDS = ["GUARDRAIL", "ELIGIBILITY", "CAP", "COOL_OFF", "PROMISE", "WEIGHT", "EXEMPTION", "BUILT_IN"];
const DATA = { CUSTOMER_DATA_TOLD: "told", CUSTOMER_DATA_HELD: "held", CUSTOMER_DATA_PERFORMED: "performed" };

/** The kinds of rules in the order in which they are shown. */
export const RULE_KINDS = KINDS.map((kind) => kind.toLowerCase());

/** The kinds of customer data, and "" for what the strategy does not say. */
export const DATA_KINDS = ["told", "held", "performed", ""];

const whole = (value) => Number(value ?? 0);
const kindOf = (kind) => (kind ?? "").replace("RULE_KIND_", "").toLowerCase();
const numbers = (values) => (values ?? []).map(Number);

function counted(row, names) {
  return { ...row, ...Object.fromEntries(names.map((name) => [name, whole(row[name])])) };
}

/** Read the answer of GetStrategy. */
export function readStrategy(raw) {
  const listed = (name) => raw[name] ?? [];
  return {
    ...raw,
    rules: listed("rules").map((rule) => ({ ...counted(rule, ["atMost", "withinSeconds"]), kind: kindOf(rule.kind), actionIds: rule.actionIds ?? [], insteadActionIds: rule.insteadActionIds ?? [] })),
    actions: listed("actions").map((action) => ({ ...counted(action, ["value", "reward", "cost"]), intents: action.intents ?? [], treatments: action.treatments ?? [] })),
    fields: listed("fields").map((field) => ({ ...field, data: DATA[field.data] ?? "", stage: field.stage ?? "", sourceEvents: field.sourceEvents ?? [] })),
    events: listed("events").map((event) => ({ ...event, data: DATA[event.data] ?? "", stage: event.stage ?? "", fieldIds: event.fieldIds ?? [], guardrailIds: event.guardrailIds ?? [] })),
    stages: listed("stages"),
    levels: listed("levels"),
    channels: listed("channels"),
  };
}

const STEP = ["decisions", "said", "greetings", "suppressed", "degraded", "accepted", "refused"];

/** The steps of a funnel, each a part of the one before down to what was shown. */
export const FUNNEL = ["considered", "eligible", "scored", "ranked", "won", "shown", "accepted"];

/** Read the answer of GetInsight. */
export function readInsight(raw) {
  const listed = (name, names, more = () => ({})) => (raw[name] ?? []).map((row) => ({ ...counted(row, names), ...more(row) }));
  return {
    since: raw.since,
    until: raw.until,
    stepMinutes: whole(raw.stepMinutes),
    basis: { complete: false, ...counted(raw.basis ?? {}, ["decisions", "judged", "outcomes", "buckets", "allBuckets", "unreadable"]) },
    steps: listed("steps", STEP),
    rules: listed("rules", ["decisions", "heldBack", "suppressions", "alone", "boundLate"], (row) => ({ kind: kindOf(row.kind), byStep: numbers(row.decisionsByStep) })),
    actions: listed("actions", [...FUNNEL, "clicked", "refused", "netValue", "amount"], (row) => ({ heldBack: (row.heldBack ?? []).map((each) => counted(each, ["decisions"])) })),
    suppressions: listed("suppressions", ["placements"], (row) => ({ byStep: numbers(row.placementsByStep), code: (row.code ?? "").replace("REASON_CODE_", "").toLowerCase() })),
    supplies: listed("supplies", ["free", "throttleBelow", "pressure", "short"], (row) => ({ actionIds: row.actionIds ?? [] })),
    versions: listed("versions", ["decisions"]),
    shadow: raw.shadow && { ...counted(raw.shadow, ["placements", "same", "failed"]), actions: (raw.shadow.actions ?? []).map((each) => counted(each, ["times", "championPropensity", "challengerPropensity", "championFirst", "challengerFirst"])) },
    drift: listed("drift", ["said", "predicted", "came", "cameLow", "cameHigh"]),
    data: listed("data", ["known", "unknown"], (row) => ({ means: numbers(row.meanByStep), counts: numbers(row.knownByStep) })),
  };
}

/** Add up a number over rows. */
export const sum = (rows, name) => rows.reduce((total, row) => total + row[name], 0);

/** Divide, and call nothing out of nothing nought. */
export const share = (part, of) => (of > 0 ? part / of : 0);

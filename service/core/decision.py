"""What goes into a decision, what is planned, and what comes out: frozen values, no behaviour.

They are msgspec structs, which are made in a tenth of the time of a frozen dataclass; `Reason`, `Answer` and
`Bound` are packed as arrays, because they go into the decision log as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from msgspec import Struct

from models.context import Scalar
from service.core.explained import Explanation
from service.core.memory import NOTHING_OFF, NOTHING_REMEMBERED, Give, Memory, Switched


class ReasonCode(IntEnum):
    """The kinds of reasons; the numbers are those of the public contract."""

    HIGHEST_NET_VALUE = 1
    EXPLORATION = 2
    INSTEAD = 3
    GUARDRAIL = 4
    GUARDRAIL_UNKNOWN = 5
    NOT_ELIGIBLE = 6
    ELIGIBILITY_UNKNOWN = 7
    NO_CONSENT = 8
    NO_CONTACT_PERMISSION = 9
    CAP_REACHED = 10
    NOTHING_WORTH_SAYING = 11
    NO_TREATMENT = 12
    CHECK_FAILED = 13
    STORE_UNAVAILABLE = 14
    NO_MODEL = 15
    DEADLINE_TOO_SHORT = 16
    ALREADY_SHOWN = 17
    SAFE_GREETING = 18
    OUT_OF_STOCK = 19
    SHORT_SUPPLY = 20
    CUSTOMER_ERASED = 21
    NO_LONGER_OFFERED = 22
    DECLINED = 23
    NOT_APPLICABLE = 24
    APPLICABILITY_UNKNOWN = 25
    NOT_SUITABLE = 26
    SUITABILITY_UNKNOWN = 27
    SWITCHED_OFF = 28
    COOLING_OFF = 29
    NEVER_AGAIN = 30
    PROMISED_OTHERWISE = 31
    PROMISED = 32
    CONTROL_GROUP = 33
    MODEL_FAILED = 34
    SCORES_STALE = 35
    NOT_DUE = 36


class Reason(Struct, frozen=True, array_like=True):
    """Why: a code, a sentence, the rule that is meant and the fields that were looked at (never their values).

    `until_ms` is when it ends by itself, such as a cap that frees; unset where only a change of the facts ends it.
    """

    code: ReasonCode
    sentence: str
    rule: str = ""
    fields: tuple[str, ...] = ()
    until_ms: int | None = None


class Request(Struct, frozen=True):
    """One question about one customer. `context` maps a field's index in the schema to its value.

    `as_of_ms` replaces the store's clock, for simulations. `idempotency_key` is empty when there is none. `depth` is
    how deep to explain; 0 stands for as deep as the caller may see. `trigger` names what made it due, and then only
    what that trigger is for may be said; empty where somebody asked.
    """

    customer: str
    channel: str
    placements: tuple[str, ...]
    context: Mapping[int, Scalar]
    explain: bool = False
    idempotency_key: str = ""
    request_id: str = ""
    as_of_ms: int | None = None
    depth: int = 0
    trigger: str = ""


class Linked(Struct, frozen=True):
    """How an identity is linked: the person it stands for, or its aliases with the moments (ms) of their links.

    `leaving` is what the store notes of a link that is being undone. `letters` are the purpose letters that the
    person's consent allows, also where nothing is stored under them.
    """

    person: str = ""
    leaving: str = ""
    aliases: tuple[tuple[str, int], ...] = ()
    letters: str = ""


class Known(Struct, frozen=True):
    """What the store gave out about a customer, scoped by the consent it holds.

    `groups` holds, for each allowed purpose letter, the packed field states; what is not allowed never left the store.
    `level` is unset when no consent was ever recorded. `counters` maps a cap counter to the times (ms, ascending) at
    which it was used. `decided` is the stored decision when this decision id was committed before. `erased` says that
    the customer asked to be forgotten: then nothing else is known, and nothing may be written. `customer` is the person
    that this is about, for whom decisions are made; empty means the one who was asked for. `linked` is set while
    only one identity of several was looked at; what decides never sees it. `consent` is the consent as it is stored,
    empty for none. `off_version` says how new `off` is; 0 where the store knows nothing of switches.
    """

    now_ms: int
    level: str | None
    channels: tuple[str, ...]
    groups: Mapping[str, bytes]
    counters: Mapping[str, tuple[int, ...]]
    decided: Committed | None = None
    erased: bool = False
    customer: str = ""
    linked: Linked | None = None
    consent: bytes = b""
    memory: Memory = NOTHING_REMEMBERED
    off: Switched = NOTHING_OFF
    off_version: int = 0


class Counter(Struct, frozen=True, omit_defaults=True):
    """One cap counter that a candidate would use: its key, how many fit, and the rolling window in milliseconds.

    Where `since_ms` is set, the uses from that moment on count instead of those in the window, and it frees at
    `frees_ms`: a calendar day. Where `hold_ms` is set, the commit only reserves the use for so long, and an outcome of
    kind `on` (a number of the public contract) makes it one.
    """

    key: str
    at_most: int
    within_ms: int
    since_ms: int = 0
    frees_ms: int = 0
    hold_ms: int = 0
    on: int = 0


class Take(Struct, frozen=True, array_like=True):
    """What an action takes when it is said: units of an item at a place, held for `hold_ms` milliseconds."""

    action: str
    item: str
    place: str
    units: int
    hold_ms: int


class Shared(Struct, frozen=True):
    """The counters that candidates would use of a household's caps, for each placement and rank of `Commit.candidates`.

    A household may live in another place of the store than its customers, so its uses are granted before the commit.
    """

    household: str
    counters: tuple[tuple[tuple[Counter, ...], ...], ...]


class Counting(Struct, frozen=True):
    """What a commit counts of the actions that it takes, for what is learned between trainings.

    Counts of different scopes have nothing to do with each other: another model begins anew. `rows` are actions, each
    with its segment and the probability of its outcome as it was predicted. An outcome of kind `on` (a number of the
    public contract) counts that comes `within_ms`; after `half_life_ms` a count counts half.
    """

    scope: str
    on: int
    within_ms: int
    half_life_ms: int
    rows: tuple[tuple[str, str, float], ...]


class Commit(Struct, frozen=True):
    """What the commit must do at once: take the first candidate a placement that fits, count it, log it.

    `candidates` holds, a placement, the ranked candidates as (action id, counters); an action is taken at most once
    over all placements. `entry` is the packed log entry. `digest` tells another request under the same id. `read_ms`
    is when the customer was read, by the store's clock: an erasure since then refuses the commit. `takes`
    holds what candidates take of the supply, which must be granted before. `asked` is the identity that was asked for;
    the commit is refused when it no longer belongs to the customer. Empty means the customer. `consent` is the one that
    it was decided under, as it was read; another one by then refuses the commit. Empty means that none was needed.
    `gives` holds the promises that candidates give. `memory` is the version of the memory that was read, another one by
    then refuses the commit; None asks for no comparison. `channel` is where it is said. `shared` is set where
    candidates use caps of the customer's household, which must be granted before. `not_after_ms` is when nobody waits
    for it any more, by the store's clock: later it is refused, and nothing is written; 0 stands for never. `counting`
    is set where the strategy learns between trainings.
    """

    customer: str
    decision_id: str
    digest: bytes
    now_ms: int
    entry: bytes
    candidates: tuple[tuple[tuple[str, tuple[Counter, ...]], ...], ...]
    read_ms: int = 0
    takes: tuple[Take, ...] = ()
    asked: str = ""
    consent: bytes = b""
    gives: tuple[Give, ...] = ()
    memory: int | None = None
    channel: str = ""
    shared: Shared | None = None
    not_after_ms: int = 0
    counting: Counting | None = None


class Bound(Struct, frozen=True, array_like=True):
    """A candidate that did not fit at commit: its placement and rank, the counter that bound, and when it frees."""

    placement: int
    rank: int
    counter: str
    frees_ms: int


class Committed(Struct, frozen=True):
    """What the commit did: the stored entry, the rank taken for each placement (-1: none), and what did not fit.

    `digest` is the one stored first; another one than the request's means that the id was used for another request.
    `off` is what is switched off by now of a decision that is only repeated: it is not said again.
    """

    entry: bytes
    digest: bytes
    chosen: tuple[int, ...]
    bound: tuple[Bound, ...]
    repeated: bool
    off: Switched = NOTHING_OFF


class Answer(Struct, frozen=True, array_like=True):
    """What to say at one placement: an action with its words, or nothing, with the reasons.

    `action` is the action's id, or empty for a suppression. `held_back` and `until_ms` belong to suppressions.
    """

    placement: str
    action: str
    kind: str
    text: str
    intents: tuple[str, ...]
    propensity: float
    net_value: float
    reasons: tuple[Reason, ...]
    held_back: str = ""
    until_ms: int | None = None


class Decision(Struct, frozen=True):
    """The answer for one customer. `decision_id` is empty when nothing was recorded."""

    decision_id: str
    answers: tuple[Answer, ...]
    strategy: str
    model: str
    at_ms: int
    degraded: tuple[Reason, ...] = ()
    explanation: Explanation | None = None

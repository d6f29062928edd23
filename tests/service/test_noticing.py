"""Every decision is counted by what came of it, and what is held back by the rule that holds it back."""

import pytest

from service import noticing
from service.core.decision import Answer, Bound, Committed, Decision, Reason, ReasonCode
from service.core.plan import Candidate, Entry, PlacementPlan
from service.core.stockroom import UNGRANTED, UNTRIED
from service.core.switched import SWITCHED
from service.telemetry import Counts

RULE = Reason(ReasonCode.GUARDRAIL, "No.", "no-selling-while-a-ticket-is-open")
CONSENT = Reason(ReasonCode.NO_CONSENT, "No.")


def answer(action: str, *reasons: Reason) -> Answer:
    """Return what is said at one placement."""
    return Answer("hero", action, "offer" if action else "", "", (), 0.0, 0.0, reasons)


@pytest.mark.parametrize(
    ("answers", "outcome", "suppressions"),
    [
        ((answer("phone"),), "said", {}),
        ((answer("phone"), answer("", RULE, CONSENT)), "said", {"no-selling-while-a-ticket-is-open": 1}),
        ((answer("", CONSENT), answer("", CONSENT)), "suppressed", {"no_consent": 2}),
        ((answer(""),), "suppressed", {"": 1}),
        ((answer("", Reason(ReasonCode.GUARDRAIL, "No.", "Anna <anna@example.org>")),), "suppressed", {"other": 1}),
    ],
)
def test_a_decision_is_counted(answers: tuple[Answer, ...], outcome: str, suppressions: dict[str, int]) -> None:
    """One decision counts once; each placement that says nothing counts for its first reason."""
    counts, decision = Counts(), Decision("d", answers, "demo@1", "", 1)
    assert noticing.decided(counts, decision) is decision
    told = counts.told()
    assert told["decisions"] == {outcome: 1}
    assert told["suppressions"] == suppressions


def test_what_was_missing_for_a_decision_is_counted() -> None:
    """An answer that says that it is degraded stands in the count of that name, and among what was said as well."""
    counts, missing = Counts(), (Reason(ReasonCode.NO_MODEL, "No model."),)
    noticing.decided(counts, Decision("d", (answer("phone"),), "demo@1", "", 1, missing))
    assert counts.told()["decisions"] == {"said": 1}
    assert counts.told()["degraded"] == {"no_model": 1}


def test_what_did_not_fit_at_commit_is_counted_by_what_it_did_not_fit() -> None:
    """A cap counts under its own name, whoever it is per; an action that was switched off is none of the caps'."""
    counts = Counts()
    candidates = tuple(Candidate(action, 0.1, None, 1.0, 1.0, preferred=False) for action in ("tv", "phone"))
    plans = (PlacementPlan("hero", candidates, 0, explored=False, suppression=None),)
    entry = Entry("d", "c", "web", 1, "demo@1", "", "full", (), None, (), (), plans)
    objects = ("two-a-day", "two-a-month|tv", "two-a-month|phone", UNGRANTED, UNTRIED)
    bound = (Bound(0, 1, SWITCHED, 0), *(Bound(0, 0, counter, 0) for counter in objects))
    noticing.bound(counts, entry, Committed(b"", b"", (-1,), bound, repeated=False))
    assert counts.told()["switch.off"] == {"phone": 1}
    assert counts.told()["caps.bound"] == {"two-a-day": 1, "two-a-month": 2}


def test_a_safe_answer_is_counted_with_its_reason() -> None:
    """A degraded answer is one among the decisions, and one for its reason."""
    counts = Counts()
    noticing.degraded(counts, Reason(ReasonCode.STORE_UNAVAILABLE, "Gone."))
    assert counts.told()["decisions"] == {"degraded": 1}
    assert counts.told()["degraded"] == {"store_unavailable": 1}

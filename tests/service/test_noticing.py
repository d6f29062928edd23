"""Every decision is counted by what came of it, and what is held back by the rule that holds it back."""

import pytest

from service import noticing
from service.core.decision import Answer, Decision, Reason, ReasonCode
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


def test_a_safe_answer_is_counted_with_its_reason() -> None:
    """A degraded answer is one among the decisions, and one for its reason."""
    counts = Counts()
    noticing.degraded(counts, Reason(ReasonCode.STORE_UNAVAILABLE, "Gone."))
    assert counts.told()["decisions"] == {"degraded": 1}
    assert counts.told()["degraded"] == {"store_unavailable": 1}

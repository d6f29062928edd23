"""What customers are told of why they see something: in words to them, and only what they would expect to be known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.context import Field
from service.core.decision import ReasonCode

_FITS = "It fits best of what may be said here."
_NOT_NOW = "It does not fit now."
CUSTOMERS: Mapping[ReasonCode, str] = {
    ReasonCode.HIGHEST_NET_VALUE: _FITS,
    ReasonCode.EXPLORATION: "It was drawn by chance, to learn what is of use.",
    ReasonCode.INSTEAD: "It is more important now than what would be said otherwise.",
    ReasonCode.GUARDRAIL: _NOT_NOW,
    ReasonCode.GUARDRAIL_UNKNOWN: _NOT_NOW,
    ReasonCode.NOT_ELIGIBLE: _NOT_NOW,
    ReasonCode.ELIGIBILITY_UNKNOWN: _NOT_NOW,
    ReasonCode.NO_CONSENT: "Personal offers need your consent.",
    ReasonCode.NO_CONTACT_PERMISSION: "You have not permitted us to contact you this way.",
    ReasonCode.CAP_REACHED: "You have heard enough of this for now.",
    ReasonCode.NOTHING_WORTH_SAYING: "There is nothing to say that is worth your time.",
    ReasonCode.NO_TREATMENT: "There is nothing to say here.",
    ReasonCode.CHECK_FAILED: _NOT_NOW,
    ReasonCode.STORE_UNAVAILABLE: "Not everything could be looked up in time.",
    ReasonCode.NO_MODEL: "It was chosen without a model.",
    ReasonCode.MODEL_FAILED: "It was chosen without a model.",
    ReasonCode.SCORES_STALE: "Not everything it was chosen by was up to date.",
    ReasonCode.DEADLINE_TOO_SHORT: "Not everything could be looked up in time.",
    ReasonCode.ALREADY_SHOWN: "It stands at another place already.",
    ReasonCode.SAFE_GREETING: "It is how everybody is greeted.",
    ReasonCode.OUT_OF_STOCK: "There is not enough of it left.",
    ReasonCode.SHORT_SUPPLY: "There is not enough of it left for everybody.",
    ReasonCode.CUSTOMER_ERASED: "What was known of you was erased.",
    ReasonCode.NO_LONGER_OFFERED: "It is no longer offered.",
    ReasonCode.DECLINED: "You said no to it.",
    ReasonCode.NOT_APPLICABLE: _NOT_NOW,
    ReasonCode.APPLICABILITY_UNKNOWN: _NOT_NOW,
    ReasonCode.NOT_SUITABLE: _NOT_NOW,
    ReasonCode.SUITABILITY_UNKNOWN: _NOT_NOW,
    ReasonCode.SWITCHED_OFF: "It is not offered at the moment.",
    ReasonCode.COOLING_OFF: "You said no to it, or to something like it.",
    ReasonCode.NEVER_AGAIN: "You asked not to hear this again.",
    ReasonCode.PROMISED_OTHERWISE: "Something else was promised to you.",
    ReasonCode.PROMISED: "It was promised to you.",
    ReasonCode.CONTROL_GROUP: "You are in a group that is told nothing, so that it can be measured what telling helps.",
    ReasonCode.NOT_DUE: "It was time for something else.",
}
"""Each kind of reason in words to a customer. None of them says what is known, or which rule it was."""

_SAID: Mapping[ReasonCode, str] = {
    ReasonCode.PROMISED: "it was promised to you",
    ReasonCode.SAFE_GREETING: "it is how we greet everybody",
    ReasonCode.EXPLORATION: "it was drawn by chance, so that we learn what is of use to you",
    ReasonCode.INSTEAD: "it is more important now than anything that we could sell you",
}
_SILENT: Mapping[ReasonCode, str] = {
    ReasonCode.NO_CONSENT: "you have not agreed to personal offers",
    ReasonCode.NO_CONTACT_PERMISSION: "you have not permitted us to contact you this way",
    ReasonCode.CAP_REACHED: "we have told you enough for now",
    ReasonCode.COOLING_OFF: "you said no to it, or to something like it",
    ReasonCode.NEVER_AGAIN: "you asked not to hear of this again",
    ReasonCode.PROMISED_OTHERWISE: "something else was promised to you",
    ReasonCode.OUT_OF_STOCK: "there is not enough of it left",
    ReasonCode.SHORT_SUPPLY: "there is not enough of it left for everybody",
    ReasonCode.CONTROL_GROUP: "you are in a group that is told nothing, so that we can measure what telling brings",
    ReasonCode.ALREADY_SHOWN: "what we have to say stands at another place already",
    ReasonCode.NOTHING_WORTH_SAYING: "there is nothing to say that is worth your time",
    ReasonCode.CUSTOMER_ERASED: "nothing is known of you any more",
}
_SAFE = (ReasonCode.STORE_UNAVAILABLE, ReasonCode.DEADLINE_TOO_SHORT)


def because(action: str, codes: Sequence[ReasonCode], fits: Sequence[Field]) -> str:
    """Say to a customer why they see this, or why they see nothing, from the kinds of reasons, the first one first.

    `fits` are the fields by which it was permitted, as far as the customer is told them.
    """
    first = codes[0] if codes else ReasonCode.NO_TREATMENT
    if not action:
        return f"You see nothing here because {_SILENT.get(first, 'nothing that we could say fits now')}."
    if first in _SAID:
        return f"You see this because {_SAID[first]}."
    if first in _SAFE:
        return "You see this because not everything could be looked up in time, and it is right for everybody."
    if not fits:
        return "You see this because, of what we may say here, it seems to fit best."
    known = "; ".join(dict.fromkeys(_known_as(field) for field in fits))
    return f"You see this because it fits what we know of you: {known}."


def _known_as(field: Field) -> str:
    return field.known_as or field.says.rstrip(" .")

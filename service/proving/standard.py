"""What every strategy promises, whether or not it says so."""

from __future__ import annotations

from service.core.invariants import Form, Invariant, Named, Written
from service.core.strategy import Strategy

FAIL_CLOSED = "standard.unknown-never-permits"
"""The promise that rules hold for all that they are about, also where something is unknown."""

_FORMS = (
    (
        Form.WITHOUT_CONSENT,
        "standard.offers-need-consent",
        "No offer is made to anybody whose consent does not allow personalization.",
    ),
    (
        Form.WITHOUT_PERMISSION,
        "standard.contact-needs-permission",
        "Nobody is contacted unasked who has not permitted it, but with what a named exemption lets through.",
    ),
    (
        Form.OUT_OF_STOCK,
        "standard.nothing-out-of-stock",
        "Nothing is said that needs more than is known to be left.",
    ),
)
CLOSED = Written(
    FAIL_CLOSED,
    "Every rule holds for all actions that it is about, on each channel and also where something is unknown, but for "
    "what an exemption names.",
)


def standard(strategy: Strategy) -> tuple[Invariant, ...]:
    """Return the promises of a ready form that every strategy makes; exemptions by name are part of the strategy."""
    del strategy  # all make the same
    return tuple(Named(Written(name, says), form) for form, name, says in _FORMS)

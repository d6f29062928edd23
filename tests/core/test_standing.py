"""What of an answer still stands: its own uses and units do not count against it, and what forbids it withdraws it."""

from msgspec.structs import replace

from models.context import Purpose
from service.core.decision import Answer, Counter, Known, Reason, ReasonCode, Take
from service.core.standing import HOLDS_NOTHING, LOST, Holds, Withdrawn, lost, material, with_own, withdrawn, without
from service.core.stock import Stock
from service.core.strategy import ConsentLevel

WEEK_MS = 7 * 86_400_000
SAID = Answer("offer", "fibre", "offer", "Faster?", ("upsell",), 0.5, 3.0, (Reason(ReasonCode.HIGHEST_NET_VALUE, "."),))
HELD = Answer("offer", "", "", "", (), 0.0, 0.0, (Reason(ReasonCode.CAP_REACHED, "Enough.", "cap"),), "fibre", 9_000)
COUNTER = Counter("cap", 1, WEEK_MS)
TICKET = Reason(ReasonCode.GUARDRAIL, "Helped, not sold to.", "no-upsell", ("past.open_tickets",))


def known(**counters: tuple[int, ...]) -> Known:
    """Return what is known of somebody with these uses, at moment 10,000."""
    return Known(10_000, "full", (), {}, counters)


def test_what_an_answer_is_worth_is_not_material() -> None:
    """Another action, other words, another reason, another end of a suppression are; net value and chance are not."""
    assert material([SAID]) == material([replace(SAID, net_value=9.0, propensity=0.1)])
    others = [replace(SAID, action="phone"), replace(SAID, text="Faster now?"), HELD, replace(HELD, until_ms=9_001)]
    others += [replace(HELD, reasons=(TICKET,)), replace(HELD, held_back="phone"), replace(SAID, placement="hero")]
    assert len({material([one]) for one in (SAID, *others)}) == len(others) + 1


def test_its_own_use_of_a_cap_is_not_counted_against_it() -> None:
    """Of the uses of a counter one goes: the one of the moment that it was made."""
    holds = Holds("d", "anna", 5_000, ("fibre",), (COUNTER,))
    assert without(known(cap=(1_000, 5_000, 7_000)), holds).counters == {"cap": (1_000, 7_000)}
    assert without(known(cap=(1_000,), other=(5_000,)), holds).counters == {"cap": (1_000,), "other": (5_000,)}
    assert without(known(cap=(5_000,)), HOLDS_NOTHING).counters == {"cap": (5_000,)}


def test_a_use_that_was_reserved_and_then_shown_is_its_own_too() -> None:
    """Reserved it stands at the end of its hold less the window, for a day at now, and once shown at when that was."""
    reserved = Counter("cap", 1, WEEK_MS, hold_ms=1_000)
    holds = Holds("d", "anna", 5_000, ("fibre",), (reserved,))
    at = 5_000 + 1_000 - WEEK_MS
    assert without(known(cap=(at, 2_000)), holds).counters == {"cap": (2_000,)}
    assert without(known(cap=(2_000, 6_000)), holds).counters == {"cap": (2_000,)}
    daily = replace(reserved, since_ms=1)
    assert without(known(cap=(10_000,)), replace(holds, counters=(daily,))).counters == {"cap": ()}


def test_its_own_units_are_there_for_it() -> None:
    """What it holds is added to what is free; of what nobody reported nothing is known still."""
    stocks = {("phone", "hq"): Stock(0, 1, 99), ("gift", "hq"): None}
    takes = (Take("a", "phone", "hq", 2, 600), Take("b", "gift", "hq", 1, 600), Take("c", "tv", "hq", 1, 600))
    assert with_own(stocks, takes) == {("phone", "hq"): Stock(2, 1, 99), ("gift", "hq"): None}


def test_only_what_is_forbidden_is_withdrawn() -> None:
    """What a rule forbids is withdrawn with its reasons; what another action is only worth more than is not."""
    other = replace(SAID, action="phone", text="A phone?")
    against = {("offer", "fibre"): (TICKET,)}
    assert withdrawn([SAID], [other], against, consent_lost=False) == (Withdrawn("offer", "fibre", (TICKET,)),)
    assert withdrawn([SAID], [other], {}, consent_lost=False) == ()
    assert withdrawn([SAID], [SAID], against, consent_lost=False) == ()
    assert withdrawn([HELD], [SAID], against, consent_lost=True) == ()


def test_words_that_rest_on_a_lost_consent_are_withdrawn() -> None:
    """The same action in other words is withdrawn where the consent allows less than before, and nowhere else."""
    plain = replace(SAID, text="Faster!")
    assert withdrawn([SAID], [plain], {}, consent_lost=True) == (Withdrawn("offer", "fibre", (LOST,)),)
    assert withdrawn([SAID], [plain], {}, consent_lost=False) == ()


def test_what_a_consent_lost() -> None:
    """A level that allows less than the one before has lost what is missing; without one before nothing is lost."""
    full = ConsentLevel("full", ".", (Purpose.SERVICE, Purpose.PROFILING))
    assert lost(full, ConsentLevel("service", ".", (Purpose.SERVICE,))) == {Purpose.PROFILING}
    assert lost(ConsentLevel("none", ".", ()), full) == frozenset()
    assert lost(None, full) == frozenset()

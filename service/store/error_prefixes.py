"""What a store's refusals mean, by how they begin: the one table of error prefixes, and how often each was seen.

Redis and Valkey name the kind of an error by its first word only; client libraries turn some of them into classes and
leave the rest to their callers. Here all of them stand side by side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Remedy(StrEnum):
    """What to do about a refusal."""

    LOAD = "load"  # load the functions, and send the command again: it cannot have run
    REDIRECT = "redirect"  # ask another server of the cluster, or the same in a moment: the command did not run
    RECONNECT = "reconnect"  # leave the server, and find out anew which one serves
    DEGRADE = "degrade"  # do without for now: it heals by itself
    ALARM = "alarm"  # do without, and tell the operators: it does not heal by itself
    REFUSE = "refuse"  # do not go on: the store does not let us in as we are told to come
    ANSWER = "answer"  # the functions' own refusals, which answer the call


@dataclass(frozen=True, slots=True)
class Meaning:
    """A kind of refusal: its label in metrics, and what to do about it."""

    label: str
    remedy: Remedy


BY_PREFIX = {
    "READONLY": Meaning("readonly", Remedy.RECONNECT),
    "MASTERDOWN": Meaning("masterdown", Remedy.RECONNECT),
    "UNBLOCKED": Meaning("unblocked", Remedy.RECONNECT),
    "LOADING": Meaning("loading", Remedy.DEGRADE),
    "BUSY": Meaning("busy", Remedy.DEGRADE),
    "CLUSTERDOWN": Meaning("clusterdown", Remedy.DEGRADE),
    "NOREPLICAS": Meaning("noreplicas", Remedy.ALARM),
    "MISCONF": Meaning("misconf", Remedy.ALARM),
    "OOM": Meaning("oom", Remedy.ALARM),
    "WRONGTYPE": Meaning("wrongtype", Remedy.ALARM),
    "CROSSSLOT": Meaning("crossslot", Remedy.ALARM),
    "NOSCRIPT": Meaning("noscript", Remedy.LOAD),
    "NOAUTH": Meaning("noauth", Remedy.REFUSE),
    "WRONGPASS": Meaning("wrongpass", Remedy.REFUSE),
    "NOPERM": Meaning("noperm", Remedy.REFUSE),
    "MOVED": Meaning("moved", Remedy.REDIRECT),
    "ASK": Meaning("ask", Remedy.REDIRECT),
    "TRYAGAIN": Meaning("tryagain", Remedy.REDIRECT),
    **dict.fromkeys(("ERASED", "LINKED", "CONSENT", "LATE", "MEMORY"), Meaning("answer", Remedy.ANSWER)),
}
BY_BEGINNING = (
    ("Function not found", Meaning("noscript", Remedy.LOAD)),
    ("max number of clients", Meaning("maxclients", Remedy.DEGRADE)),
    ("WAIT cannot be used with replica", Meaning("readonly", Remedy.RECONNECT)),
)
"""Kinds that the first word, ERR, does not tell."""
OTHER = Meaning("other", Remedy.ALARM)
LABELS = frozenset((*(one.label for one in BY_PREFIX.values()), *(one.label for _, one in BY_BEGINNING), OTHER.label))


def meaning_of(prefix: str, message: str) -> Meaning:
    """Return what a refusal means that begins with this word, and goes on like this; of none that is known, `OTHER`."""
    known = BY_PREFIX.get(prefix)
    if known is not None:
        return known
    return next((meaning for beginning, meaning in BY_BEGINNING if message.startswith(beginning)), OTHER)


def remedy_of(prefix: str, message: str) -> Remedy:
    """Return what to do about a refusal that begins like this."""
    return meaning_of(prefix, message).remedy


class Refusals:
    """How often this process saw each kind of refusal, by its label."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self._tell: Callable[[str], None] | None = None

    def told_to(self, tell: Callable[[str], None]) -> None:
        """Tell the label of each refusal from now on, such as to a metric."""
        self._tell = tell

    def note(self, prefix: str, message: str) -> Remedy:
        """Count a refusal and return what to do about it."""
        meaning = meaning_of(prefix, message)
        self.seen[meaning.label] += 1
        if self._tell is not None and meaning.remedy is not Remedy.ANSWER:
            self._tell(meaning.label)
        return meaning.remedy


REFUSALS = Refusals()
"""Those of this process: connections come and go, and what they count stays."""

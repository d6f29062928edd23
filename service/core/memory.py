"""What is remembered of a customer beside cap counters: answers, promises, the latest contact; what is switched off."""

from __future__ import annotations

from msgspec import Struct


class Refusal(Struct, frozen=True, array_like=True):
    """That a customer said no to an action: REFUSED, NOT_NOW or NEVER (numbers of the public contract), when (ms), and
    the digest of the decision, by which the same answer told again is the same. Group and intents are those of then.
    """

    action: str
    group: str
    intents: tuple[str, ...]
    kind: int
    at_ms: int
    mark: bytes


class Promised(Struct, frozen=True, array_like=True):
    """A promise that was given: the rule and its part (`key`), the action, since when and until when it holds (ms), in
    which decision it was given, and a digest of the material facts of then.
    """

    key: str
    action: str
    given_ms: int
    until_ms: int
    decision_id: str
    facts: bytes


class Contact(Struct, frozen=True, array_like=True):
    """The latest decision in which something was said: on which channel, when (ms), and what."""

    channel: str
    at_ms: int
    actions: tuple[str, ...]


class Memory(Struct, frozen=True):
    """What was said to a person before and how they answered, apart from cap counters.

    `version` rises whenever refusals or promises change; a commit made from another version is refused.
    """

    refusals: tuple[Refusal, ...] = ()
    promised: tuple[Promised, ...] = ()
    last: Contact | None = None
    version: int = 0


NOTHING_REMEMBERED = Memory()


class Switched(Struct, frozen=True):
    """What operators have switched off: these actions, or everything."""

    actions: frozenset[str] = frozenset()
    everything: bool = False


NOTHING_OFF = Switched()


class Give(Struct, frozen=True, array_like=True):
    """A promise that saying an action gives: its key, until when it holds (ms) and the digest of the material facts.

    Where the same action is promised under this key already, with the same facts, that promise stands unchanged.
    """

    action: str
    key: str
    until_ms: int
    facts: bytes

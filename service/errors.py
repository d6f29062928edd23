"""What can go wrong, as one tree. The edge alone knows what each means to a caller (service/rpc/refusals.py).

    TactError
    ├── InvalidArgument        the request is bad: says which fields and why
    │   └── Undecodable        what came is no message, or too long for one
    ├── AlreadyExists          the idempotency key was used for another request
    ├── UnknownDecision        there is no decision of this id (any more)
    ├── UnknownCaller          neither a certificate nor a token says who calls
    ├── Forbidden              whoever calls may not do this, or not about this customer or on this channel
    ├── OverQuota              whoever calls has asked for too much lately
    ├── FailedPrecondition     the request is good, but the state of the store forbids it
    │   ├── ConsentOlder       a consent given later is stored already
    │   ├── CustomerErased     the customer was erased, and nothing may be written about them
    │   ├── LinkRefused        two identities cannot be linked, or unlinked, as they are
    │   ├── CannotHear         nobody listens to the store of this server, so nobody can watch
    │   ├── NotControlled      nobody controls this server, so it has no status and no switches
    │   ├── TooManySwitches    more cannot be switched off one by one
    │   └── ErasureKeyMissing  without a key nobody who was erased could stay suppressed
    ├── TooManyWatches         more watch already than there is room for: here, by this caller, or this customer
    ├── TooSlow                whoever watches does not take what is told in time
    ├── Overloaded             more is asked than can be answered, and this was not begun
    ├── DeadlineExpired        the caller's time was over before work began, or while it was under way
    ├── ServiceEnds            the service ends, and a stream with it; another goes on
    ├── CannotListen           the address cannot be served on
    └── StoreError             the store did not do what it was asked to; service/store tells the kinds apart

Texts of `InvalidArgument`, `AlreadyExists` and `FailedPrecondition` reach callers, so they say what was wrong and what
would be right; texts of every other error never leave the process.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """One bad field of a request: its path, such as `placements[1]`, empty for the whole, and what is wrong with it."""

    field: str
    description: str


class TactError(Exception):
    """The root of everything that Tact raises on purpose."""


class InvalidArgument(TactError):
    """The request is bad: `violations` has each bad field by its path, the empty path for the request as a whole."""

    def __init__(self, message: str, violations: tuple[Violation, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.violations = violations

    @classmethod
    def of(cls, violations: list[Violation]) -> InvalidArgument:
        """Say all violations in one error; the message tells the first and how many there are."""
        first = violations[0]
        more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
        return cls(f"{first.field or 'the request'}: {first.description}{more}", tuple(violations))


class Undecodable(InvalidArgument):
    """What came cannot be decoded, or is too long: nobody can tell what was asked."""


class AlreadyExists(TactError):
    """The idempotency key was used for another request."""


class UnknownDecision(TactError):
    """There is no decision of this id, or none any more."""


class UnknownCaller(TactError):
    """Neither a certificate nor a token says who calls."""


class Forbidden(TactError):
    """Whoever calls may not do this, or not about this customer or on this channel."""


class OverQuota(TactError):
    """Whoever calls has asked for too much lately; `wait_s` is how long to wait, in seconds."""

    def __init__(self, wait_s: float) -> None:
        super().__init__("over quota")
        self.wait_s = wait_s


class FailedPrecondition(TactError):
    """The request is good, but the state of the store forbids it."""


class ConsentOlder(FailedPrecondition):
    """A consent that was given later is stored already."""


class CustomerErased(FailedPrecondition):
    """The customer was erased, and has not agreed to anything since."""


class LinkRefused(FailedPrecondition):
    """Two identities cannot be linked, or unlinked, as they are; the text says why and what to do, and names nobody."""


class ErasureKeyMissing(FailedPrecondition):
    """The service has no key to keep erased customers suppressed under."""


class CannotHear(FailedPrecondition):
    """Nobody listens to what is written into the store of this server."""


class NotControlled(FailedPrecondition):
    """The server has no status and no switches."""


class TooManySwitches(FailedPrecondition):
    """So much is switched off that no more can be, one by one."""


class TooManyWatches(TactError):
    """More watch already than there is room for; `wait_s` is how long to wait, in seconds."""

    def __init__(self, wait_s: float) -> None:
        super().__init__("too many watch")
        self.wait_s = wait_s


class TooSlow(TactError):
    """Whoever watches does not take in time what is told."""


class Overloaded(TactError):
    """More is asked than can be answered, and this was not begun; `wait_s` is how long to wait, in seconds."""

    def __init__(self, wait_s: float) -> None:
        super().__init__("overloaded")
        self.wait_s = wait_s


class DeadlineExpired(TactError):
    """The caller's time is over."""


class ServiceEnds(TactError):
    """The service ends, and so does a stream: what it has not answered is to be sent to another."""


class CannotListen(TactError):
    """The address cannot be served on: the port is taken, or the host is not of this machine."""


class StoreError(TactError):
    """The store did not do what it was asked to. What was written is not known: repeat it, writes are idempotent."""


class ConsentChanged(StoreError):
    """A decision was made under a consent that has been replaced since: make it again."""


class MemoryChanged(StoreError):
    """A decision was made of what was remembered of a customer, and more is remembered since: make it again."""


class CommitTooLate(StoreError):
    """A commit came when nobody waited for it any more: nothing of it is written."""


class CustomerLinked(StoreError):
    """A decision was made for who has become another's alias, or is one no longer: make it again."""

"""Which class a decision belongs to: desktops come before the web, and the web before e-mail."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from service.rpc.access.who import WHO, Role


class CallClass(IntEnum):
    """Who waits behind whom: the smaller number comes first."""

    DESKTOP = 0
    """A customer is on the phone, and somebody looks at the screen."""
    WEB = 1
    """A page waits."""
    EMAIL = 2
    """Nobody waits: a mailing, a batch, a stream."""

    @property
    def label(self) -> str:
        """Its name, as settings and metrics write it."""
        return self.name.lower()


DESKTOP, WEB, EMAIL = CallClass.DESKTOP, CallClass.WEB, CallClass.EMAIL
USUAL: Mapping[str, CallClass] = {
    **dict.fromkeys(("desk", "desktop", "agent", "branch", "callcentre", "phone", "voice", "chat"), DESKTOP),
    **dict.fromkeys(("email", "e-mail", "mail", "letter", "newsletter", "push", "sms"), EMAIL),
}
"""The class of a channel by its id in the strategy, where no setting says another. Every other channel is the web."""

_BY_ROLE: Mapping[Role, CallClass] = {Role.DESKTOP: DESKTOP, Role.WEB: WEB, Role.EMAIL: EMAIL}


class Classes:
    """Tells the class of a decision: by the role of whoever calls, else by the channel; `others` go before `USUAL`.

    What comes in a stream is e-mail unless the caller has a role: whoever has so much to ask at once can wait.
    """

    def __init__(self, others: Mapping[str, CallClass] | None = None) -> None:
        self._by_channel = {**USUAL, **(others or {})}

    def of(self, channel: str, *, streamed: bool = False) -> CallClass:
        """Return the class of a decision for whoever makes the call at hand."""
        caller = WHO.get()
        if caller is not None and (found := _BY_ROLE.get(caller.role)) is not None:
            return found
        return EMAIL if streamed else self._by_channel.get(channel, WEB)


def read_classes(text: str) -> dict[str, CallClass]:
    """Read `CHANNEL=CLASS,…`; raise ValueError with what is wrong.

    >>> read_classes("kiosk=web, callback=desktop")
    {'kiosk': <CallClass.WEB: 1>, 'callback': <CallClass.DESKTOP: 0>}
    """
    known = {one.label: one for one in CallClass}
    found: dict[str, CallClass] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        channel, sign, label = part.partition("=")
        if not sign or not channel or label not in known:
            raise ValueError(f"{part[:80]!r} is no CHANNEL=CLASS; a class is {', '.join(known)}")
        if channel in found:
            raise ValueError(f"channel {channel[:80]!r} is named twice; keep one of them")
        found[channel] = known[label]
    return found

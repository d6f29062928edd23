"""What happens to a call before its message is read, and to what Connect itself says of one."""

from __future__ import annotations

from connectrpc.code import Code
from connectrpc.errors import ConnectError

from service.errors import Overloaded
from service.rpc.asked_first import Guarded
from service.rpc.web.calls import HERE, Context, Told, WebCall
from service.rpc.wrapper import check_time, end

_WORDS = {
    Code.INVALID_ARGUMENT: "The message cannot be read in the form and the compression that its headers name.",
    Code.RESOURCE_EXHAUSTED: "The message is longer than this method takes.",
    Code.UNIMPLEMENTED: "The call has not one message, or is compressed by other means than gzip.",
    Code.CANCELED: "The call was ended by whoever made it.",
    Code.DEADLINE_EXCEEDED: "The deadline was exceeded.",
}
_OTHERWISE = "The call could not be answered."


class AskingFirst:
    """Asks the gate of a method on the headers alone, so that no stranger's message is kept or unpacked."""

    def __init__(self, guarded: Guarded) -> None:
        self._guarded = guarded

    async def on_start(self, context: Context) -> None:
        """Let a call in, or end it."""
        call, info = WebCall(context), context.method
        try:
            check_time(call)
            self._guarded.ask(f"{info.service_name}/{info.name}", call)
        except Exception as error:  # noqa: BLE001 - every error gets its status
            await end(call, error)
        HERE.get().known = True

    async def on_end(self, _: None, context: Context, error: Exception | None) -> None:
        """Say what Connect says of a call in words that repeat nothing of what was sent."""
        if isinstance(error, Overloaded):  # from where the body is read
            await end(WebCall(context), error)
        if isinstance(error, ConnectError) and not isinstance(error, Told):
            raise Told(error.code, _WORDS.get(error.code, _OTHERWISE)) from None

"""A client of Tact that needs nothing but gRPC and protobuf.

    from tact.client import Client, question

    with Client("127.0.0.1:50051") as tact:
        answer = tact.decide(question("customer-1", "web", ["hero"], {"present.cart_value": 25.0}), timeout_s=0.05)
        print(answer.answers[0].reasons[0].sentence)

`Client` is for threads and `AsyncClient` for a loop. Both end every call in time, repeat what may be repeated under the
same ids, heed a service that pushes back, renew bearer tokens, and raise `CallFailed`. Messages are those of the
contract (`tact.v1`); `question`, `event` and `outcome` make them of plain values. What has no method here stands under
`stubs`: `tact.stubs.supply.ReportSupply(…)`. docs/client.md has the rest.
"""

from tact.client._aclient import AsyncClient
from tact.client._client import Client
from tact.client._connecting import Tls
from tact.client._errors import CallFailed, Violation
from tact.client._messages import Plain, event, moment, outcome, question, value
from tact.client._policy import Keepalive, Retry, service_config
from tact.client._stubs import AsyncStubs, Stubs
from tact.client._tokens import Token, TokenFile

__all__ = [
    "AsyncClient",
    "AsyncStubs",
    "CallFailed",
    "Client",
    "Keepalive",
    "Plain",
    "Retry",
    "Stubs",
    "Tls",
    "Token",
    "TokenFile",
    "Violation",
    "event",
    "moment",
    "outcome",
    "question",
    "service_config",
    "value",
]

"""A web shop's backend: a page is waiting, so Tact has 50 ms to say what to greet the customer with, and no more.

    python docs/examples/web_backend.py 127.0.0.1:50051 8080

Whatever goes wrong, the page goes out with the shop's own greeting: a decision is worth much, and a page more.
"""

from __future__ import annotations

import asyncio
import sys
from html import escape
from urllib.parse import parse_qs, urlsplit

from tact.client import AsyncClient, CallFailed, question

BUDGET_S = 0.05
OWN_GREETING = "Welcome."


async def greeting(tact: AsyncClient, customer: str) -> str:
    """Return what to greet a customer with: what Tact says if it says so in time, and else our own neutral words."""
    try:
        answer = await tact.decide(question(customer, "web", ["greeting"]), timeout_s=BUDGET_S)
    except CallFailed:  # too late, unreachable, or refused: our own words are always true
        return OWN_GREETING
    said = answer.answers[0]
    return said.greeting.text or said.offer.text or OWN_GREETING  # a suppression says nothing, on purpose


async def answer(tact: AsyncClient, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one HTTP request with the page of the customer that it names."""
    try:
        asked = (await reader.readline()).split()
        while (await reader.readline()).strip():
            pass
        if len(asked) < 2:  # who connects and says nothing, as probes do
            return
        customer = parse_qs(urlsplit(asked[1].decode("latin-1")).query).get("customer", ["visitor"])[0]
        page = f"<h1>{escape(await greeting(tact, customer))}</h1>\n".encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\n")
        writer.write(b"Content-Length: %d\r\n\r\n%s" % (len(page), page))
        await writer.drain()
    finally:
        writer.close()


async def main(target: str, port: int) -> None:
    """Serve pages until the end. One client serves all pages, from the start of the program on."""
    async with AsyncClient(target) as tact:
        server = await asyncio.start_server(lambda reader, writer: answer(tact, reader, writer), "127.0.0.1", port)
        async with server:
            sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/?customer=anna-ticket\n")
            sys.stdout.flush()
            await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))

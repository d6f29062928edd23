"""How many connections a server takes: as many as leave files for everything else that a process needs."""

from __future__ import annotations

import resource

MOST = 2_048
"""More than an attacker who holds 800 half-open ones; an idle one takes 13 kB."""

FILES_FOR_THE_REST = 256
FEWEST = 32


def most_connections(most: int = MOST) -> int:
    """Return the limit, after asking for as many open files as are needed for it, as far as this process may.

    It is `most` where there are files enough for that.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most + FILES_FOR_THE_REST
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return most
    return most if soft >= wanted else max(FEWEST, soft // 2)

"""Where everything stands in the store. All keys of one customer begin with the hash tag of the customer's bucket.

    tact:{0a3}:c:<customer>   hash     i customer id; c consent; s, p, f field states by purpose; k cap counters;
                                       qs, qp, qf states that could not be read, put aside
    tact:{0a3}:e:<customer>   zset     digests of the last 4,096 event ids, by arrival (ms)
    tact:{0a3}:log            stream   one entry a decision: i customer, e entry, c chosen, b bound, a actions
    tact:{0a3}:d:<decision>   string   the decision's place in the log and the digest of its request
    tact:{0a3}:out            stream   outcomes: d decision, i customer, a action, k kind, t time (ms), m amount
    tact:{0a3}:o:<decision>   hash     action|kind to time|amount

The id comes last in a key, so that no two ids share one whatever they contain.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from zlib import crc32

BUCKETS = 1024
ENTROPY_BYTES = 12
EVENT_DIGEST_BYTES = 8
_DECISION_ID = re.compile("[0-3][0-9a-f]{25}")


@lru_cache(maxsize=1024)
def bucket(customer: str) -> str:
    """Return the bucket of a customer: three hexadecimal digits."""
    return f"{crc32(customer.encode()) % BUCKETS:03x}"


def context_key(customer: str) -> bytes:
    """Return the key of what is known about a customer."""
    return _key(bucket(customer), "c", customer)


def events_key(customer: str) -> bytes:
    """Return the key of the event ids that a customer's context has folded."""
    return _key(bucket(customer), "e", customer)


def log_key(bucket: str) -> bytes:
    """Return the key of a bucket's decision log."""
    return f"tact:{{{bucket}}}:log".encode()


def out_key(bucket: str) -> bytes:
    """Return the key of a bucket's outcomes in the order of their arrival."""
    return f"tact:{{{bucket}}}:out".encode()


def decision_key(decision_id: str) -> bytes:
    """Return the key of one decision's place in the log."""
    return _key(decision_id[:3], "d", decision_id)


def outcomes_key(decision_id: str) -> bytes:
    """Return the key of one decision's outcomes."""
    return _key(decision_id[:3], "o", decision_id)


def repeatable_decision_id(customer: str, idempotency_key: str) -> str:
    """Return the decision id that a customer's request under an idempotency key has, each time."""
    owner = customer.encode()
    named = len(owner).to_bytes(4, "big") + owner + idempotency_key.encode()
    return _decision_id(customer, blake2b(named, digest_size=ENTROPY_BYTES, person=b"tact decision").digest())


def fresh_decision_id(customer: str, entropy: bytes) -> str:
    """Return a decision id for 12 random bytes."""
    if len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"a decision id needs {ENTROPY_BYTES} random bytes, not {len(entropy)}")
    return _decision_id(customer, entropy)


def is_decision_id(text: str) -> bool:
    """Tell whether a text has the form of a decision id: only then does it name a bucket."""
    return _DECISION_ID.fullmatch(text) is not None


def event_digest(event_id: str) -> bytes:
    """Return the 8 bytes under which an event id is remembered."""
    return blake2b(event_id.encode(), digest_size=EVENT_DIGEST_BYTES).digest()


def _key(bucket: str, kind: str, name: str) -> bytes:
    return f"tact:{{{bucket}}}:{kind}:{name}".encode()


def _decision_id(customer: str, random: bytes) -> str:
    return bucket(customer) + random.hex()[:23]

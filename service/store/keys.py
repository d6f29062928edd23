"""Where everything stands in the store. All keys of one customer begin with the hash tag of the customer's bucket.

    tact:{0a3}:c:<customer>   hash     i customer id; c consent; s, p, f field states by purpose; k cap counters;
                                       e digests (6 bytes each) of the last event ids, at most 64;
                                       qs, qp, qf states that could not be read, put aside; of linked identities
                                       (lua/identity.lua): a person of an alias, l moment of its link, u an unlinking
                                       under way; m aliases of a person; o origin of k, j cap uses of other origins;
                                       n a bound of the consent, y the alias it was set under (lua/consent.lua),
                                       w what was brought to whom before, t the latest moment (ms) ahead of now
                                       that a consent was told with; of what was said and answered (lua/memory.lua):
                                       z refusals (of each action and kind the latest 16,
                                       256 in all), v promises, r reserved uses of caps, h the latest contact,
                                       g the version of z and v
    tact:{0a3}:e:<customer>   string   digests (6 bytes each) of event ids before those in e: at least the last 4,096
    tact:{0a3}:h:<customer>   list     the last 100 changes of the consent, the oldest first
    tact:{0a3}:l:<customer>   string   what was written while somebody listens, and for minutes after (lua/heard.lua)
    tact:{0a3}:j:<customer>   list     the last 100 events, the oldest first: the letter of the purpose that lets it be
                                       told, when it happened, when it arrived (ms), its type (lua/journey.lua)
    tact:{0a3}:ids            zset     the ids of customers of whom anything is kept, in their order
    tact:{0a3}:log            stream   one entry a decision: l link of the entry before it (chain.py), i customer,
                                       e entry, c chosen, b bound, a actions,
                                       r what was reserved, by action and cap counter,
                                       q where its outcomes are counted for what is learned between trainings
    tact:{0a3}:d:<decision>   string   the decision's place in the log, the alias that was asked about if it
                                       was one, and the digest of its request
    tact:{0a3}:out            stream   outcomes: l link of the one before it, d decision, i customer, a action, k kind,
                                       t time (ms), m amount
    tact:{0a3}:lh, oh         string   the heads of these two streams: the links of their newest entries
    tact:{0a3}:lg, og         zset     what their erased entries left: id and link, by the moment (ms) of the id
    tact:{0a3}:o:<decision>   hash     action|kind to time|amount|when it was recorded (ms)
    tact:{0a3}:n              zset     customers whose context changed since a job asked the models about them, to the
                                       moment (ms) of the first such change, or, while lent to a job, of the loan's end
    tact:{0a3}:g:<customer>   string   the ids that an erasure asked for under this one has not finished with
    tact:{0a3}:q              hash     scope, action and segment to what was counted of them for what is learned between
                                       trainings (lua/adaptive.lua); names nobody
    tact:{0a3}:t:<customer>   hash     what triggers wait for: trigger and key to what is known of it (lua/moments.lua)
    tact:{0a3}:due:<channel>  zset     moments of triggers to when they are due (ms), or, while lent to a consumer,
                                       to the loan's end
    tact:{0a3}:dead:<channel> zset     those that no consumer finished, to since when (ms)
    tact:{0a3}:w              string   the version and the actions of what is switched off; absent: nothing; kept for
                                       ever
    tact:{0a3}:x              hash     keyed digest (16 bytes) of an erased customer to the moment (ms); kept for ever

What is shared by all customers stands apart, the supply of each item and place with a hash tag of its own:

    tact:{s:truck@berlin}:stock     hash   i item and place; a available, o observed, c counted, e expires;
                                           h units held, t units accepted since they were counted
    tact:{s:truck@berlin}:units     hash   lease to its units
    tact:{s:truck@berlin}:held      zset   lease to the end of its hold (ms)
    tact:{s:truck@berlin}:accepted  zset   lease to when it was accepted (ms)
    tact:{switch}:off               hash   what operators switched off (an action, * for everything) to since when,
                                           why and by whom; # version, = the version that every bucket has;
                                           kept for ever
    tact:{switch}:aud               stream who changed what: l link of the entry before it, w what, s subject,
                                           f from, t to, b by, o origin, y why; kept for ever
    tact:{switch}:ah                string its head
    tact:{switch}:now               hash   the versions that it noted last as in force
    tact:{h:6f1a…}:uses             hash   what a household was told: decision|action to [when (ms), when its last
                                           window ends, when it was granted (0: it was said), counters]; named by a
                                           digest
    tact:{erasure}:key              string fingerprint of the key that the digests of the erased are made with;
                                           kept for ever
    tact:{fields}:purposes          hash   field key to the letter of the purpose that it is kept for; kept for ever
    tact:{words}:<version>          string ids and types of the fields of a strategy, kinds and texts of its actions
    tact:{archive}:strategy:<version>  string the documents of a strategy, packed; so of model, what decides of a model
    tact:{demand}:log               stream what was wanted: n number, w rows
    tact:{demand}:n                 string number of the last entry
    tact:{demand}:p:<process>       string number of the last report of a process

The id comes last in a key, so that no two ids share one whatever they contain.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from urllib.parse import quote
from zlib import crc32

from models.compiled import compiled

BUCKETS = 1024
ENTROPY_BYTES = 12
EVENT_DIGEST_BYTES = 6
_DECISION_ID = re.compile("[0-3][0-9a-f]{25}")
_COMMANDS = compiled("service.store._commands")


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


def history_key(customer: str) -> bytes:
    """Return the key of how a customer's consent changed."""
    return _key(bucket(customer), "h", customer)


def heard_key(customer: str) -> bytes:
    """Return the key, and the channel, of what is written of a customer while somebody listens."""
    return _key(bucket(customer), "l", customer)


def moments_key(customer: str) -> bytes:
    """Return the key of what triggers wait for with a customer."""
    return _key(bucket(customer), "t", customer)


def due_key(bucket: str, channel: str) -> bytes:
    """Return the key of a bucket's moments that are due on a channel."""
    return _key(bucket, "due", channel)


def dead_key(bucket: str, channel: str) -> bytes:
    """Return the key of a bucket's moments on a channel that no consumer finished."""
    return _key(bucket, "dead", channel)


def heard_channel() -> bytes:
    """Return the channel of what concerns everybody who listens."""
    return b"tact:heard"


def journey_key(customer: str) -> bytes:
    """Return the key of what happened to a customer, as far as it is kept."""
    return _key(bucket(customer), "j", customer)


def ids_key(bucket: str) -> bytes:
    """Return the key of the ids of a bucket's customers."""
    return f"tact:{{{bucket}}}:ids".encode()


def fold_keys(customer: str) -> tuple[bytes, ...]:
    """Return the keys that folding a customer's events touches: context, events, erased and changed customers, heard,
    journey, ids.
    """
    named = customer.encode()
    contexts, events, erased, changed, heard, journey, ids = _fold_places(crc32(named) % BUCKETS)
    return contexts + named, events + named, erased, changed, heard + named, journey + named, ids


@lru_cache(maxsize=BUCKETS)
def _fold_places(number: int) -> tuple[bytes, ...]:
    """Return what `fold_keys` says of all customers of a bucket; their ids are to follow in those of one customer."""
    place = f"{number:03x}"
    begun = _key(place, "c", ""), _key(place, "e", ""), suppression_key(place), changed_key(place)
    return *begun, _key(place, "l", ""), _key(place, "j", ""), ids_key(place)


def prefixes(bucket: str) -> tuple[bytes, bytes, bytes]:
    """Return how the keys of a bucket begin that end with the id of a customer (context, heard) and of a decision."""
    return _key(bucket, "c", ""), _key(bucket, "l", ""), _key(bucket, "d", "")


def log_key(bucket: str) -> bytes:
    """Return the key of a bucket's decision log."""
    return f"tact:{{{bucket}}}:log".encode()


def out_key(bucket: str) -> bytes:
    """Return the key of a bucket's outcomes in the order of their arrival."""
    return f"tact:{{{bucket}}}:out".encode()


def head_key(stream: bytes) -> bytes:
    """Return the key of the link of the newest entry of a bucket's log or outcomes."""
    return stream[:-2] + b"h"


def gone_key(stream: bytes) -> bytes:
    """Return the key of what erased entries of a bucket's log or outcomes left."""
    return stream[:-2] + b"g"


def changed_key(bucket: str) -> bytes:
    """Return the key of the bucket's customers of whom something changed since their predictions were made."""
    return f"tact:{{{bucket}}}:n".encode()


@lru_cache(maxsize=BUCKETS)
def suppression_key(bucket: str) -> bytes:
    """Return the key of the digests of a bucket's erased customers."""
    return f"tact:{{{bucket}}}:x".encode()


@lru_cache(maxsize=BUCKETS)
def switch_key(bucket: str) -> bytes:
    """Return the key of a bucket's copy of what is switched off."""
    return f"tact:{{{bucket}}}:w".encode()


@lru_cache(maxsize=BUCKETS)
def counts_key(bucket: str) -> bytes:
    """Return the key of what was counted in a bucket for what is learned between trainings."""
    return f"tact:{{{bucket}}}:q".encode()


def audit_key() -> bytes:
    """Return the key of the record of what was changed by whom; beside the switches, to be written at once."""
    return b"tact:{switch}:aud"


def in_force_key() -> bytes:
    """Return the key of the versions that the record noted last as in force."""
    return b"tact:{switch}:now"


def histories() -> bytes:
    """Return the pattern of the keys of how customers' consents changed."""
    return b"tact:{[0-9a-f][0-9a-f][0-9a-f]}:h:*"


def customer_in(key: bytes) -> str:
    """Return the customer whose id ends a key."""
    return key.split(b":", 3)[3].decode()


def switches_key() -> bytes:
    """Return the key of the master copy of what is switched off."""
    return b"tact:{switch}:off"


def going_key(customer: str) -> bytes:
    """Return the key of the ids with which an erasure that was asked for under this one is not finished."""
    return _key(bucket(customer), "g", customer)


def erasure_key() -> bytes:
    """Return the key of the fingerprint of the secret that digests the ids of erased customers."""
    return b"tact:{erasure}:key"


def store_key() -> bytes:
    """Return the key that says which store this is, so that its archive takes no other."""
    return b"tact:{archive}:store"


def purposes_key() -> bytes:
    """Return the key of what each field key is kept for."""
    return b"tact:{fields}:purposes"


def words_key(version: str) -> bytes:
    """Return the key of the words of one version of a strategy."""
    return b"tact:{words}:" + version.encode()


def part_key(kind: str, version: str) -> bytes:
    """Return the key of a strategy or a model as it decided."""
    return f"tact:{{archive}}:{kind}:{version}".encode()


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
    named = _COMMANDS.fresh_decision_id(customer, entropy) if _COMMANDS else None
    return plainly_fresh_decision_id(customer, entropy) if named is None else named


def plainly_fresh_decision_id(customer: str, entropy: bytes) -> str:
    """Return the same: the twin of what is compiled."""
    if len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"a decision id needs {ENTROPY_BYTES} random bytes, not {len(entropy)}")
    return _decision_id(customer, entropy)


def is_decision_id(text: str) -> bool:
    """Tell whether a text has the form of a decision id: only then does it name a bucket."""
    return _DECISION_ID.fullmatch(text) is not None


def event_digest(event_id: str) -> bytes:
    """Return the 6 bytes under which an event id is remembered."""
    return blake2b(event_id.encode(), digest_size=EVENT_DIGEST_BYTES).digest()


def shelf_name(item: str, place: str) -> bytes:
    """Return the name of an item at a place; no two have the same, whatever they contain."""
    return f"{quote(item, safe='')}@{quote(place, safe='')}".encode()


def shelf_keys(item: str, place: str) -> tuple[bytes, bytes, bytes, bytes]:
    """Return the keys of an item at a place: its stock, the units of its leases, those held, those accepted."""
    tag = b"tact:{s:" + shelf_name(item, place) + b"}:"
    return tag + b"stock", tag + b"units", tag + b"held", tag + b"accepted"


def household_name(household: str) -> bytes:
    """Return the name of a household: a digest, for what it is called can be an address."""
    return blake2b(household.encode(), digest_size=16, person=b"tact household").hexdigest().encode()


def household_key(name: bytes) -> bytes:
    """Return the key of what the household of this name was told."""
    return b"tact:{h:" + name + b"}:uses"


def lease(decision_id: str, action: str) -> str:
    """Return the name of what an action of a decision holds."""
    return f"{decision_id}|{action}"


def demand_log_key() -> bytes:
    """Return the key of what was wanted."""
    return b"tact:{demand}:log"


def demand_keys(process: str) -> tuple[bytes, bytes, bytes]:
    """Return the keys of what was wanted, of its last number, and of the last report of a process."""
    return demand_log_key(), b"tact:{demand}:n", b"tact:{demand}:p:" + process.encode()


def _key(bucket: str, kind: str, name: str) -> bytes:
    return f"tact:{{{bucket}}}:{kind}:{name}".encode()


def _decision_id(customer: str, random: bytes) -> str:
    return bucket(customer) + random.hex()[:23]

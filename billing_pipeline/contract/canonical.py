"""The canonical form of an event, its digest, and the hash of its identity.

**Canonical form.** One JSON object, UTF-8, keys sorted by code point, no white space, no escape that JSON does not
demand. It holds the fields of the newest schema version, so both versions of one event have the same form, without
`schema_version`, `emitted_at` and `received_at` (they say how an event was sent, not what happened). Fields that are
null or have their default (`billable` true, no `dimensions`) are left out. Decimals are text in plain notation
without leading or trailing zeros; instants are integers, UTC microseconds since the epoch, further digits cut off;
an allocation is its payers and shares, not the parts that follow from them; `corrects` and `replacement` are objects
under the same rules, but in a `replacement` a default is kept, since it replaces something.

**Digest.** The first 16 bytes of the form's SHA-256, in hex: 128 bits.
"""

import hashlib
from collections.abc import Mapping

import msgspec

_ENCODER = msgspec.json.Encoder()


def canonical_json(value: object) -> bytes:
    """Compact JSON in UTF-8; the keys of objects stay in the order given, which is sorted in a canonical form."""
    return _ENCODER.encode(value)


def canonical_form(fields: Mapping[str, object]) -> bytes:
    """The canonical form of fields that are in sorted order and normalized; those that are None are left out."""
    return _ENCODER.encode({name: value for name, value in fields.items() if value is not None})


def canonical_dimensions(dimensions: Mapping[str, str] | None) -> str:
    """Dimensions as canonical JSON text, keys sorted; `{}` where there are none."""
    return _ENCODER.encode(dict(sorted(dimensions.items()))).decode() if dimensions else "{}"


def digest_of(form: bytes) -> str:
    """128 bits of SHA-256 over a canonical form, in hex."""
    return hashlib.sha256(form).hexdigest()[:32]


def key_hash_of(source: str, event_id: str) -> int:
    """The first 64 bits of MD5 over source, NUL, id, as a signed big-endian integer; any engine can compute it."""
    # No secret hangs on it: hits are compared by their exact keys.
    digest = hashlib.md5(f"{source}\0{event_id}".encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "big", signed=True)

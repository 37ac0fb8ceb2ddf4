"""The canonical form of an event, its digest, and the hash of its identity.

**Canonical form.** One JSON object, UTF-8, keys sorted by code point, no white space, no escape that JSON
does not demand. It holds the fields of the newest schema version, so both versions of one event have the
same form, without `schema_version`, `emitted_at` and `received_at` (they say how an event was sent, not
what happened). Fields that are null or have their default (`billable` true, no `dimensions`) are left out.
Decimals are text in plain notation without leading or trailing zeros; instants are integers, UTC
microseconds since the epoch, further digits cut off; an allocation is its payers and shares, not the parts
that follow from them; `corrects` and `replacement` are objects under the same rules, but in a `replacement`
a default is kept: it replaces something.

**Digest.** The first 16 bytes of the form's SHA-256, in hex: 128 bits.
"""

import hashlib
import struct
from collections.abc import Mapping

import msgspec

_ENCODER = msgspec.json.Encoder()
_SORTING = msgspec.json.Encoder(order="sorted")
_FIRST_64_BITS = struct.Struct(">q8x")


class ShareForm(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One allocation share; the fields of every form stand in sorted order, in which they are encoded."""

    customer_id: str
    project_id: str
    share: str


class UsageForm(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The canonical form of a usage event."""

    allocations: list[ShareForm] | None = None
    billable: bool = True
    correlation_id: str
    customer_id: str
    dimensions: msgspec.Raw | None = None
    id: str
    occurred_at: int
    parent_id: str | None = None
    project_id: str
    quantity: str
    reason_code: str | None = None
    session_id: str | None = None
    source: str
    step: str | None = None
    type: str
    unit: str
    user_id: str | None = None


class CorrectsForm(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The identity of the corrected event."""

    id: str
    source: str


class ReplacementForm(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a `replace` puts in place; here nothing is a default, for `billable` true replaces false."""

    billable: bool | None = None
    customer_id: str | None = None
    dimensions: msgspec.Raw | None = None
    project_id: str | None = None
    quantity: str | None = None
    unit: str | None = None


class CorrectionForm(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The canonical form of a correction."""

    action: str
    correlation_id: str | None = None
    corrects: CorrectsForm
    id: str
    note: str | None = None
    occurred_at: int
    quantity_delta: str | None = None
    reason_code: str
    replacement: ReplacementForm | None = None
    source: str
    type: str


def canonical_json(form: msgspec.Struct) -> bytes:
    """A form as canonical JSON."""
    return _ENCODER.encode(form)


def canonical_dimensions(dimensions: Mapping[str, str] | None) -> str:
    """Dimensions as canonical JSON text, keys sorted; `{}` where there are none."""
    return _SORTING.encode(dimensions).decode() if dimensions else "{}"


def digest_of(form: msgspec.Struct) -> str:
    """128 bits of SHA-256 over a canonical form, in hex."""
    return hashlib.sha256(_ENCODER.encode(form)).hexdigest()[:32]


def key_hash_of(source: str, event_id: str) -> int:
    """The first 64 bits of MD5 over source, NUL, id, as a signed big-endian integer."""
    # No secret hangs on it: hits are compared by their exact keys.
    digest = hashlib.md5(f"{source}\0{event_id}".encode(), usedforsecurity=False).digest()
    first: int = _FIRST_64_BITS.unpack(digest)[0]
    return first

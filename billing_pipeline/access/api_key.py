"""API keys: how a key is written, which facts there are about it, and whether a text is a key that is good now.

Of a secret only its SHA-256 is kept. It has 256 random bits, so nothing slower than that is needed.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from billing_pipeline.access.scope import Scope

_KEY = re.compile(r"bk_([0-9a-f]{12})_([0-9a-f]{64})", re.ASCII)
_ID_BYTES = 6
_SECRET_BYTES = 32
_NO_SECRET = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Secret:
    """One secret of a key, by its SHA-256 (hex). `ends_at` (UTC µs) is when it stops being good."""

    sha256: str
    ends_at: int | None = None

    def is_good(self, now_us: int) -> bool:
        """Whether it has not ended."""
        return self.ends_at is None or now_us < self.ends_at


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as it stands now. Instants are UTC µs; `name` is the producer that its events are kept under."""

    key_id: str
    name: str
    scope: Scope
    secrets: tuple[Secret, ...]
    events_per_second: int | None = None
    expires_at: int | None = None
    revoked_at: int | None = None
    issued_at: int = 0

    def is_good(self, now_us: int) -> bool:
        """Whether it is neither expired nor revoked."""
        ends = [instant for instant in (self.expires_at, self.revoked_at) if instant is not None]
        return not ends or now_us < min(ends)


class KeyRing:
    """All keys there are; finds the one that a caller shows."""

    def __init__(self, keys: Iterable[ApiKey] = ()) -> None:
        self._keys = {key.key_id: key for key in keys}

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, text: str, now_us: int) -> ApiKey | None:
        """The key that is written so, if there is one and it is good now.

        Secrets are compared in constant time, and an unknown key takes as long as a known one.
        """
        match = _KEY.fullmatch(text)
        if match is None:
            return None
        key_id, secret = match.groups()
        shown = sha256_of(secret)
        key = self._keys.get(key_id)
        known = key.secrets if key is not None else (Secret(_NO_SECRET),)
        found = [each for each in known if hmac.compare_digest(each.sha256, shown)]
        if key is None or not key.is_good(now_us) or not any(each.is_good(now_us) for each in found):
            return None
        return key

    def find_again(self, key_id: str, secret_sha256: str, now_us: int) -> ApiKey | None:
        """The key that was found before by a secret, if both are still good."""
        key = self._keys.get(key_id)
        if key is None or not key.is_good(now_us):
            return None
        is_good = any(each.sha256 == secret_sha256 and each.is_good(now_us) for each in key.secrets)
        return key if is_good else None


def new_key_id() -> str:
    """A key's id: not secret, so that logs and lists can name it."""
    return secrets.token_hex(_ID_BYTES)


def new_secret() -> str:
    """256 random bits, as text."""
    return secrets.token_hex(_SECRET_BYTES)


def key_text(key_id: str, secret: str) -> str:
    """The key as its holder writes it."""
    return f"bk_{key_id}_{secret}"


def sha256_of(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def secret_of(text: str) -> str:
    """The secret in a key as its holder writes it."""
    return text.rpartition("_")[2]

"""Who is logged in to the console: random tokens, kept here by their SHA-256, as long as their API key is good.

They are of this process: after a start of the gateway people log in again.
"""

import hmac
import secrets
from dataclasses import dataclass, field
from hashlib import sha256

from billing_pipeline.access.api_key import ApiKey, KeyRing, secret_of, sha256_of
from billing_pipeline.access.scope import Right

IDLE_SECONDS = 30 * 60
LIFE_SECONDS = 12 * 3600
SESSIONS_MOST = 1000
_TOKEN_BYTES = 32


@dataclass(slots=True)
class Session:
    """One login. Instants are seconds of a clock that nobody sets.

    Attributes:
        who: how the person signs, or empty.
        csrf: what every form must bring back.
        told: what the next page says, and whether it is bad news.
    """

    key_id: str
    secret_sha256: str
    who: str
    csrf: str
    started_at: float
    seen_at: float
    told: tuple[str, bool] | None = None

    def has_ended(self, now_seconds: float) -> bool:
        """Whether it is too old, or was left alone for too long."""
        return now_seconds - self.started_at > LIFE_SECONDS or now_seconds - self.seen_at > IDLE_SECONDS

    def may(self, csrf: str) -> bool:
        """Whether a form is of this session."""
        return hmac.compare_digest(self.csrf.encode(), csrf.encode())


@dataclass(slots=True)
class Sessions:
    """All logins there are; the one that was seen least lately gives way where there are too many."""

    _by_token: dict[str, Session] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._by_token)

    def start(self, key: ApiKey, key_text: str, who: str, now_seconds: float) -> str:
        """Log somebody in; returns the token, which is not kept."""
        self._sweep(now_seconds)
        if len(self._by_token) >= SESSIONS_MOST:
            del self._by_token[min(self._by_token, key=lambda each: self._by_token[each].seen_at)]
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        self._by_token[_kept(token)] = Session(
            key_id=key.key_id,
            secret_sha256=sha256_of(secret_of(key_text)),
            who=who,
            csrf=secrets.token_urlsafe(_TOKEN_BYTES),
            started_at=now_seconds,
            seen_at=now_seconds,
        )
        return token

    def find(
        self, token: str, keys: KeyRing, *, now_us: int, now_seconds: float
    ) -> tuple[Session, ApiKey] | None:
        """The login of a token, if it has not ended and its key is still good for the console."""
        session = self._by_token.get(_kept(token))
        if session is None:
            return None
        key = keys.find_again(session.key_id, session.secret_sha256, now_us)
        if key is None or Right.GUARD_ADMIN not in key.scope.rights or session.has_ended(now_seconds):
            self.end(token)
            return None
        session.seen_at = now_seconds
        return session, key

    def end(self, token: str) -> None:
        """Log out."""
        self._by_token.pop(_kept(token), None)

    def _sweep(self, now_seconds: float) -> None:
        for kept in [kept for kept, session in self._by_token.items() if session.has_ended(now_seconds)]:
            del self._by_token[kept]


def _kept(token: str) -> str:
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()

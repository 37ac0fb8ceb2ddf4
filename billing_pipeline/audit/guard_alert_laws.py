"""What must hold of alerts: each crossing is told once, by one review item, and each review item by one notice."""

import json
from collections import Counter
from collections.abc import Iterator

from sqlalchemy import Connection, text

_ALERTS = text(
    "SELECT scope, currency, time_window, starts_at, amount FROM guard_alerts "
    "ORDER BY scope, currency, time_window, starts_at, amount"
)
_REVIEWS = text("SELECT review_id, kind, scope, currency, evidence FROM guard_reviews ORDER BY review_id")
_NOTICES = text("SELECT id, payload FROM guard_notices WHERE kind LIKE 'review.%' ORDER BY id")

Crossing = tuple[str, str, str, str, str]
"""Scope, currency, window, its start, and the limit."""


def alert_faults(connection: Connection) -> Iterator[str]:
    """Where a crossing was told twice or never. Both sides are read in the transaction of `connection`."""
    alerts: set[Crossing] = {
        (scope, currency, window, str(starts_at), str(amount))
        for scope, currency, window, starts_at, amount in connection.execute(_ALERTS)
    }
    reviews: Counter[Crossing] = Counter()
    told: Counter[str] = Counter(
        str(_object(payload).get("review_id")) for _, payload in connection.execute(_NOTICES)
    )
    for review_id, kind, scope, currency, evidence in connection.execute(_REVIEWS):
        if told[review_id] != 1:
            yield (
                f"review {review_id} ({kind} of {scope}) has {told[review_id]} notices, but is told once; look at it "
                f"with `billing review show {review_id}`, and tell whoever waits for the webhook"
            )
        if kind == "soft_limit":
            seen = _object(evidence)
            window, starts_at, limit = (seen.get(name) for name in ("window", "window_starts_at", "limit"))
            reviews[scope, currency, str(window), str(starts_at), str(limit)] += 1
    for crossing in sorted(alerts | set(reviews)):
        alerted, reviewed = int(crossing in alerts), reviews[crossing]
        if alerted != 1 or reviewed != 1:
            scope, currency, window, starts_at, limit = crossing
            yield (
                f"soft limit {limit} of {scope} in {currency}, {window} from {starts_at} (UTC µs), has {alerted} "
                f"alerts and {reviewed} reviews, but a crossing has one of each; restore the control database from a "
                "backup, or decide the reviews that are too many (`billing review resume`)"
            )


def _object(document: str) -> dict[str, object]:
    try:
        found = json.loads(document)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}

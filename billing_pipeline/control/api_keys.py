"""API keys as facts: each was issued once, got secrets, and it or one of them ended. Append-only.

Where several ends are recorded, the earliest counts: an end can be brought forward, and never put off.
"""

import json
from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import Connection, Engine, insert, select
from sqlalchemy.exc import IntegrityError

from billing_pipeline.access.api_key import ApiKey, Secret, key_text, new_key_id, new_secret, sha256_of
from billing_pipeline.access.scope import Right, Scope
from billing_pipeline.control.database import writing
from billing_pipeline.control.tables import API_KEY_ENDS, API_KEY_SECRETS, API_KEYS
from billing_pipeline.errors import ApiKeyError

RESERVED_NAMES = frozenset({"guard"})
"""What is sent under it counts as paid by a hold."""


def issue_key(
    engine: Engine,
    name: str,
    scope: Scope,
    *,
    events_per_second: int | None,
    expires_at: int | None,
    now_us: int,
) -> str:
    """Record a new key and return its text, which is not kept. Instants are UTC µs.

    Raises:
        ApiKeyError: there is or was a key of this name, or the pipeline itself sends under it.
    """
    if name in RESERVED_NAMES:
        raise ApiKeyError(
            f"{name!r} is the name under which the pipeline itself sends events of settled holds; choose another one"
        )
    key_id, secret = new_key_id(), new_secret()
    values = {
        "key_id": key_id,
        "name": name,
        "rights": _text(scope.rights),
        "customers": _text(scope.customers),
        "sources": _text(scope.sources),
        "events_per_second": events_per_second,
        "expires_at": expires_at,
        "recorded_at": now_us,
    }
    try:
        with writing(engine) as connection:
            connection.execute(insert(API_KEYS), values)
            _add_secret(connection, key_id, secret, now_us)
    except IntegrityError as error:
        raise ApiKeyError(
            f"there is or was an API key {name!r}: rotate it, or choose another name, so that the log's producers "
            "stay told apart"
        ) from error
    return key_text(key_id, secret)


def rotate_key(engine: Engine, key_id: str, *, overlap_us: int, now_us: int) -> str:
    """Give a key a new secret and return its text; earlier secrets end after the overlap. Instants are UTC µs.

    Raises:
        ApiKeyError: there is no such key, or it has ended.
    """
    secret = new_secret()
    with writing(engine) as connection:
        key = _good_key(connection, key_id, now_us)
        _add_secret(connection, key_id, secret, now_us)
        ends = [
            {
                "key_id": key_id,
                "secret_sha256": each.sha256,
                "ends_at": now_us + overlap_us,
                "recorded_at": now_us,
            }
            for each in key.secrets
            if each.is_good(now_us)
        ]
        if ends:
            connection.execute(insert(API_KEY_ENDS), ends)
    return key_text(key_id, secret)


def revoke_key(engine: Engine, key_id: str, *, now_us: int) -> None:
    """End a key now, with all its secrets. `now_us` is UTC µs.

    Raises:
        ApiKeyError: there is no such key, or it has ended.
    """
    with writing(engine) as connection:
        _good_key(connection, key_id, now_us)
        connection.execute(
            insert(API_KEY_ENDS),
            {"key_id": key_id, "secret_sha256": None, "ends_at": now_us, "recorded_at": now_us},
        )


def api_keys(engine: Engine) -> list[ApiKey]:
    """All keys there have been, in the order in which they were issued."""
    with engine.connect() as connection:
        return _read(connection)


def _good_key(connection: Connection, key_id: str, now_us: int) -> ApiKey:
    key = next((each for each in _read(connection) if each.key_id == key_id), None)
    if key is None:
        raise ApiKeyError(f"there is no API key {key_id!r}; `billing keys list` shows all ids")
    if not key.is_good(now_us):
        raise ApiKeyError(f"the API key {key_id} ({key.name}) has ended already; create another one")
    return key


def _add_secret(connection: Connection, key_id: str, secret: str, now_us: int) -> None:
    values = {"secret_sha256": sha256_of(secret), "key_id": key_id, "recorded_at": now_us}
    connection.execute(insert(API_KEY_SECRETS), values)


def _read(connection: Connection) -> list[ApiKey]:
    revoked: dict[str, int] = {}
    ends: dict[str, int] = {}
    for row in connection.execute(select(API_KEY_ENDS)).mappings():
        found, of = (revoked, row["key_id"]) if row["secret_sha256"] is None else (ends, row["secret_sha256"])
        found[of] = min(row["ends_at"], found.get(of, row["ends_at"]))
    secrets: dict[str, list[Secret]] = defaultdict(list)
    query = select(API_KEY_SECRETS).order_by(API_KEY_SECRETS.c.recorded_at, API_KEY_SECRETS.c.secret_sha256)
    for row in connection.execute(query).mappings():
        secrets[row["key_id"]].append(Secret(row["secret_sha256"], ends.get(row["secret_sha256"])))
    rows = connection.execute(select(API_KEYS).order_by(API_KEYS.c.recorded_at, API_KEYS.c.key_id)).mappings()
    return [
        ApiKey(
            key_id=row["key_id"],
            name=row["name"],
            scope=_scope(row["rights"], row["customers"], row["sources"]),
            secrets=tuple(secrets[row["key_id"]]),
            events_per_second=row["events_per_second"],
            expires_at=row["expires_at"],
            revoked_at=revoked.get(row["key_id"]),
            issued_at=row["recorded_at"],
        )
        for row in rows
    ]


def _scope(rights: str, customers: str | None, sources: str | None) -> Scope:
    known = {right.value for right in Right}
    return Scope(
        frozenset(Right(right) for right in json.loads(rights) if right in known),
        None if customers is None else frozenset(json.loads(customers)),
        None if sources is None else tuple(json.loads(sources)),
    )


def _text(names: Iterable[str] | None) -> str | None:
    return None if names is None else json.dumps(sorted(names), separators=(",", ":"))

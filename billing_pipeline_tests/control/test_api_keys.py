import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DatabaseError

from billing_pipeline.access.api_key import KeyRing
from billing_pipeline.access.scope import Scope
from billing_pipeline.control.api_keys import api_keys, issue_key, revoke_key, rotate_key
from billing_pipeline.control.database import open_control
from billing_pipeline.errors import ApiKeyError


def issue(engine: Engine, name: str = "app", scope: Scope | None = None) -> str:
    return issue_key(engine, name, scope or Scope(), events_per_second=7, expires_at=1000, now_us=1)


def test_an_issued_key_is_found_again_with_its_scope(control_url: str) -> None:
    """Only by its text, which is not kept."""
    engine = open_control(control_url)
    scope = Scope(customers=frozenset({"acme"}), sources=("app", "eu/*"))
    key_text = issue(engine, scope=scope)
    found = KeyRing(api_keys(engine)).find(key_text, 2)
    assert found is not None
    assert (found.name, found.scope, found.events_per_second) == ("app", scope, 7)
    assert found.expires_at == 1000
    with engine.connect() as connection:
        kept = [
            *connection.execute(text("SELECT * FROM api_keys")),
            *connection.execute(text("SELECT * FROM api_key_secrets")),
        ]
    assert key_text.rpartition("_")[2] not in str(kept)
    engine.dispose()


def test_a_revoked_key_is_good_no_more(control_url: str) -> None:
    engine = open_control(control_url)
    key_text = issue(engine)
    key_id = api_keys(engine)[0].key_id
    revoke_key(engine, key_id, now_us=5)
    assert KeyRing(api_keys(engine)).find(key_text, 5) is None
    with pytest.raises(ApiKeyError, match="ended already"):
        revoke_key(engine, key_id, now_us=6)
    with pytest.raises(ApiKeyError, match="ended already"):
        rotate_key(engine, key_id, overlap_us=1, now_us=6)
    engine.dispose()


def test_a_rotated_keys_old_secret_ends_after_the_overlap(control_url: str) -> None:
    """And rotating once more does not lengthen it."""
    engine = open_control(control_url)
    old = issue(engine)
    key_id = api_keys(engine)[0].key_id
    new = rotate_key(engine, key_id, overlap_us=10, now_us=5)
    newest = rotate_key(engine, key_id, overlap_us=100, now_us=6)
    ring = KeyRing(api_keys(engine))
    assert [ring.find(each, 14) is not None for each in (old, new, newest)] == [True, True, True]
    assert [ring.find(each, 15) is not None for each in (old, new, newest)] == [False, True, True]
    assert [ring.find(each, 106) is not None for each in (old, new, newest)] == [False, False, True]
    engine.dispose()


def test_a_name_is_given_once(control_url: str) -> None:
    """The log's producers stay told apart."""
    engine = open_control(control_url)
    issue(engine)
    with pytest.raises(ApiKeyError, match="rotate it"):
        issue(engine)
    assert len(api_keys(engine)) == 1
    engine.dispose()


def test_the_name_of_the_guard_is_not_given(control_url: str) -> None:
    """What is sent under it would count as paid by a hold."""
    engine = open_control(control_url)
    with pytest.raises(ApiKeyError, match="the pipeline itself"):
        issue(engine, name="guard")
    assert api_keys(engine) == []
    engine.dispose()


def test_an_unknown_id_is_refused(control_url: str) -> None:
    engine = open_control(control_url)
    with pytest.raises(ApiKeyError, match="no API key"):
        revoke_key(engine, "nobody", now_us=5)
    engine.dispose()


@pytest.mark.parametrize("table", ["api_keys", "api_key_secrets", "api_key_ends"])
def test_facts_about_keys_cannot_be_changed(control_url: str, table: str) -> None:
    engine = open_control(control_url)
    issue(engine)
    revoke_key(engine, api_keys(engine)[0].key_id, now_us=5)
    with pytest.raises(DatabaseError, match="append-only"), engine.begin() as connection:
        connection.execute(text(f"DELETE FROM {table}"))
    engine.dispose()

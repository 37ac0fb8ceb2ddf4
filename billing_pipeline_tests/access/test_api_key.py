"""Which text is a key that is good now."""

from billing_pipeline.access.api_key import (
    ApiKey,
    KeyRing,
    Secret,
    key_text,
    new_key_id,
    new_secret,
    sha256_of,
)
from billing_pipeline.access.scope import Scope

OLD, NEW = new_secret(), new_secret()
NOW = 1_000_000


def ring(**fields: int) -> KeyRing:
    key = ApiKey(
        key_id="0" * 12,
        name="app",
        scope=Scope(),
        secrets=(Secret(sha256_of(OLD), ends_at=NOW), Secret(sha256_of(NEW))),
        **fields,
    )
    return KeyRing([key])


def test_a_key_is_found_by_its_id_and_secret() -> None:
    found = ring().find(key_text("0" * 12, NEW), NOW)
    assert found is not None
    assert found.name == "app"


def test_another_secret_or_id_is_not_found() -> None:
    assert ring().find(key_text("0" * 12, new_secret()), NOW) is None
    assert ring().find(key_text(new_key_id(), NEW), NOW) is None
    assert KeyRing().find(key_text("0" * 12, NEW), NOW) is None


def test_what_is_no_key_is_not_found() -> None:
    for text in (
        "",
        "bk_",
        NEW,
        f"bk_{'0' * 12}_",
        f"bk_{'0' * 12}_{NEW.upper()}",
        f"bk_{'0' * 12}_{NEW}\n",
        "é",
    ):
        assert ring().find(text, NOW) is None


def test_a_rotated_secret_is_good_until_its_overlap_ends() -> None:
    old = key_text("0" * 12, OLD)
    assert ring().find(old, NOW - 1) is not None
    assert ring().find(old, NOW) is None


def test_an_expired_or_revoked_key_is_not_found() -> None:
    text = key_text("0" * 12, NEW)
    assert ring(expires_at=NOW + 1).find(text, NOW) is not None
    assert ring(expires_at=NOW).find(text, NOW) is None
    assert ring(revoked_at=NOW).find(text, NOW) is None


def test_a_secret_has_256_bits() -> None:
    assert len(bytes.fromhex(new_secret())) == 32

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, select

from billing_pipeline.control.database import open_control
from billing_pipeline.control.rule_book_uses import check_and_record
from billing_pipeline.control.tables import RULE_BOOK_USES
from billing_pipeline.errors import RuleBookChangedError


@pytest.fixture
def engine(control_url: str) -> Iterator[Engine]:
    engine = open_control(control_url)
    yield engine
    engine.dispose()


def _recorded(engine: Engine) -> dict[str, str]:
    with engine.connect() as connection:
        rows = connection.execute(select(RULE_BOOK_USES.c.version, RULE_BOOK_USES.c.content_hash))
        return {row.version: row.content_hash for row in rows}


def test_the_first_use_is_recorded_and_repeats_change_nothing(engine: Engine) -> None:
    """The same books may be used as often as one likes, with new ones beside them."""
    check_and_record(engine, {"v1": "aa"})
    check_and_record(engine, {"v1": "aa"})
    check_and_record(engine, {"v1": "aa", "v2": "bb"})
    assert _recorded(engine) == {"v1": "aa", "v2": "bb"}


def test_a_changed_book_is_refused_with_both_hashes(engine: Engine) -> None:
    """The error names the version, what was used, what was found and what to do; nothing is recorded."""
    check_and_record(engine, {"v1": "aa"})
    with pytest.raises(RuleBookChangedError, match=r"'v1'.* aa, .* cc; restore") as caught:
        check_and_record(engine, {"v1": "cc", "v2": "bb"})
    assert (caught.value.version, caught.value.used_hash, caught.value.found_hash) == ("v1", "aa", "cc")
    assert _recorded(engine) == {"v1": "aa"}


def test_no_books_need_no_record(engine: Engine) -> None:
    """An empty mapping is fine."""
    check_and_record(engine, {})
    assert _recorded(engine) == {}

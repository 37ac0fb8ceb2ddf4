"""Content hashes: the same rows give the same hash, other rows another one."""

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from billing_pipeline.lake.content_hash import file_hash, row_hash
from billing_pipeline.lake.duckdb_engine import DuckDBEngine, in_memory
from billing_pipeline.schemas.table import Column, ColumnType, Table

TEXTS = Table(
    name="texts",
    stage="test",
    description="Two texts.",
    columns=(
        Column("day", ColumnType.DAY, "d"),
        Column("a", ColumnType.TEXT, "a", nullable=True),
        Column("b", ColumnType.TEXT, "b", nullable=True),
    ),
    partition_by=("day",),
    order_by=("a", "b"),
)
Pair = tuple[str | None, str | None]
Hashed = Callable[..., str]


@pytest.fixture
def hashed(tmp_path: Path) -> Hashed:
    """The row hash of pairs written as one file, or as the files given."""
    engine = DuckDBEngine(in_memory, 500, 2, tmp_path / "scratch")

    def run(*files: Sequence[Pair]) -> str:
        paths = []
        with engine.session() as session:
            for number, pairs in enumerate(files):
                path = tmp_path / f"{number}.parquet"
                session.load("some", TEXTS.columns, [(date(2026, 10, 5), *pair) for pair in pairs])
                if session.write(TEXTS, "some", path):
                    paths.append(str(path))
            return row_hash(session, TEXTS, paths)

    return run


def test_the_hash_does_not_depend_on_order_or_on_how_rows_lie_in_files(hashed: Hashed) -> None:
    expected = hashed([("1", "x"), ("2", None), ("3", "z")])
    assert hashed([("3", "z"), ("2", None), ("1", "x")]) == expected
    assert hashed([("3", "z")], [("1", "x"), ("2", None)]) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([(None, "x")], [("", "x")]),
        ([(None, "x")], [("NULL", "x")]),
        ([(None, "x")], [("\\N", "x")]),
        ([("a|", "b")], [("a", "|b")]),
        ([("a|b", "c")], [("a", "b|c")]),
        ([("a\\", "|b")], [("a", "\\|b")]),
        ([("a", "x\nb"), ("c", "d")], [("a", "x"), ("b\nc", "d")]),
        ([("a", "b")], [("b", "a")]),
        ([("a", "b")], [("a", "b"), ("a", "b")]),
        ([("a", "b")], []),
    ],
)
def test_other_rows_have_another_hash(hashed: Hashed, one: list[Pair], other: list[Pair]) -> None:
    assert hashed(one) != hashed(other)


pairs = st.tuples(*[st.none() | st.text(alphabet="a|\\N\n", max_size=3)] * 2)
some_pairs = st.lists(pairs, max_size=3)


@hypothesis_settings(
    max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(some_pairs, some_pairs)
def test_hashes_are_equal_exactly_where_rows_are(hashed: Hashed, one: list[Pair], other: list[Pair]) -> None:
    def key(pair: Pair) -> tuple[str, str]:
        return (repr(pair[0]), repr(pair[1]))

    assert (hashed(one) == hashed(other)) == (sorted(one, key=key) == sorted(other, key=key))


def test_the_hash_of_files_does_not_depend_on_their_names_or_order(tmp_path: Path) -> None:
    for name, content in (("a", b"1"), ("b", b"2"), ("c", b"1"), ("d", b"3")):
        (tmp_path / name).write_bytes(content)
    a, b, c, d = (tmp_path / name for name in "abcd")
    assert file_hash([a, b]) == file_hash([b, c])
    assert file_hash([a]) == file_hash([c])
    assert len({file_hash([]), file_hash([a]), file_hash([b]), file_hash([a, b]), file_hash([a, d])}) == 5

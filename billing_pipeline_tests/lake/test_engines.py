"""What every compute engine keeps to: the same tests for DuckDB and for Spark, and the same answers."""

import hashlib
import random
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from billing_pipeline.errors import EngineOverflowError
from billing_pipeline.lake.content_hash import file_hash, row_hash
from billing_pipeline.lake.duckdb_engine import DuckDBEngine, in_memory
from billing_pipeline.lake.engine import Engine
from billing_pipeline.schemas.table import Column, ColumnType, Table

THINGS = Table(
    name="things",
    stage="test",
    description="Every type once.",
    columns=(
        Column("day", ColumnType.DAY, "d"),
        Column("name", ColumnType.TEXT, "n", nullable=True),
        Column("number", ColumnType.WHOLE, "n"),
        Column("quantity", ColumnType.QUANTITY, "q"),
        Column("amount", ColumnType.AMOUNT, "a"),
        Column("moment", ColumnType.INSTANT, "m"),
        Column("flag", ColumnType.FLAG, "f", nullable=True),
        Column("payload", ColumnType.BYTES, "p"),
    ),
    partition_by=("day",),
    order_by=("name", "number"),
)
DAY = date(2026, 10, 5)
MOMENT = datetime(2026, 10, 5, 23, 59, 59, 999_999, tzinfo=UTC)
MOST = Decimal("99999999999999999999999999999.999999999")
LEAST = MOST.copy_negate()
LONG = Decimal("123456789012345678901234567.123456789")
PARTS = (
    '[{"allocation_index": 0, "customer_id": "acmé", "project_id": "p", "share": "0.3", "quantity": "1.500000001", '
    '"event_share": "0.3"}, {"allocation_index": 1, "customer_id": "b", "project_id": "q", "share": "0.7", '
    '"quantity": "-2", "event_share": "0.7"}]'
)

Thing = tuple[object, ...]


def thing(number: int, name: str | None = None, quantity: Decimal = Decimal("1.000000001")) -> Thing:
    flag = (None, True, False)[number % 3]
    return (DAY, name, number, quantity, Decimal("1E-24"), MOMENT, flag, b"\x00\xff|\\")


# Names whose order differs between code points, UTF-16 and languages; with bars, backslashes, NUL and nothing.
NAMES = ("", "a", "B", "b|\\", "\\N", "a\x00b", "a\nb", "ä", "z", "\uffee", "\U0001f600", None)
SOME = [thing(number, name) for number, name in enumerate(NAMES)]


@pytest.fixture(params=["duckdb", "spark"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    if request.param == "spark":
        spark: Engine = request.getfixturevalue("spark_engine")
        return spark
    return DuckDBEngine(in_memory, 500, 2, tmp_path / "scratch")


def test_a_scan_of_no_files_is_an_empty_relation_of_the_tables_columns(engine: Engine) -> None:
    with engine.session() as session:
        session.scan("empty", THINGS, [])
        columns = ", ".join(THINGS.column_names)
        assert session.rows(f"SELECT {columns} FROM empty") == []
        assert session.rows("SELECT sum(quantity), max(moment), count(*) FROM empty") == [(None, None, 0)]


def test_an_empty_relation_is_written_as_no_file_at_all(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "data" / "none.parquet"
    path.parent.mkdir()
    with engine.session() as session:
        session.load("few", THINGS.columns, [thing(1)])
        assert session.write(THINGS, "few", path, "number = 2") is None
    assert list(path.parent.iterdir()) == []


def test_what_is_written_is_read_back_exactly_as_one_file_in_the_tables_order(
    engine: Engine, tmp_path: Path
) -> None:
    """Nulls first, then by code points; the name of the file may hold what is a pattern elsewhere."""
    path = tmp_path / "data" / "things {1} [x] *.parquet"
    path.parent.mkdir()
    expected = sorted(SOME, key=lambda row: b"" if row[1] is None else b"\x01" + str(row[1]).encode())
    with engine.session() as session:
        session.load("many", THINGS.columns, random.Random(1).sample(SOME, len(SOME)))
        written = session.write(THINGS, "many", path)
        session.scan("back", THINGS, [str(path)])
        assert sorted(session.rows("SELECT * FROM back"), key=repr) == sorted(expected, key=repr)
    assert written is not None
    assert (written.path, written.rows) == (path, len(SOME))
    assert pq.read_table(path)["name"].to_pylist() == [row[1] for row in expected]
    assert list(path.parent.iterdir()) == [path]


def test_rows_are_values_of_python(engine: Engine) -> None:
    with engine.session() as session:
        session.load("few", THINGS.columns, [thing(1, "a")])
        [row] = session.rows("SELECT * FROM few")
    assert row == thing(1, "a")
    assert [type(value) for value in row] == [date, str, int, Decimal, Decimal, datetime, bool, bytes]
    assert isinstance(row[5], datetime)
    assert row[5].utcoffset() is not None


def test_a_file_holds_exact_types_that_may_all_be_null_and_no_float(engine: Engine, tmp_path: Path) -> None:
    """Also where a statement gives narrower ones, and constants that an engine knows not to be null."""
    statement = tmp_path / "things.sql"
    statement.write_text(
        "SELECT DATE '2026-10-05' AS day, 'a' AS name, 1 AS number, 2 AS quantity, 0.5 AS amount, moment, "
        "true AS flag, payload FROM few",
        "utf-8",
    )
    path = tmp_path / "things.parquet"
    with engine.session() as session:
        session.load("few", THINGS.columns, [thing(1)])
        session.define("narrow", statement)
        session.write(THINGS, "narrow", path)
    schema = pq.read_schema(path)
    assert {field.name: str(field.type) for field in schema} == {
        "day": "date32[day]",
        "name": "string",
        "number": "int64",
        "quantity": "decimal128(38, 9)",
        "amount": "decimal128(38, 24)",
        "moment": "timestamp[us, tz=UTC]",
        "flag": "bool",
        "payload": "binary",
    }
    assert all(field.nullable for field in schema)


def test_the_same_rows_give_the_same_bytes_from_any_order_and_any_files(
    engine: Engine, tmp_path: Path
) -> None:
    rows = [thing(number, NAMES[number % len(NAMES)]) for number in range(500)]
    whole, first, second, out = (tmp_path / f"{name}.parquet" for name in ("whole", "first", "second", "out"))
    hashes = set()
    with engine.session() as session:
        session.load("ordered", THINGS.columns, rows)
        session.load("shuffled", THINGS.columns, random.Random(1).sample(rows, len(rows)))
        session.write(THINGS, "shuffled", first, "number < 70")
        session.write(THINGS, "shuffled", second, "number >= 70")
        session.write(THINGS, "ordered", whole)
        hashes.add(file_hash([whole]))
        session.scan("sources", THINGS, [str(first), str(second)])
        session.write(THINGS, "sources", out)
        hashes.add(file_hash([out]))
    assert len(hashes) == 1


def canonical(row: Thing) -> str:
    """The canonical text of a row, written once more: what both engines must give."""
    day, name, number, quantity, amount, moment, flag, payload = row
    assert isinstance(moment, datetime)
    assert isinstance(payload, bytes)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    values = (
        str(day),
        name,
        str(number),
        f"{quantity:.9f}",
        f"{amount:.24f}",
        str((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds),
        None if flag is None else str(flag).lower(),
        payload.hex(),
    )
    return "|".join(
        "\\N" if value is None else str(value).replace("\\", "\\\\").replace("|", "\\|") for value in values
    )


def test_the_row_hash_is_that_of_the_canonical_text(engine: Engine, tmp_path: Path) -> None:
    rows = [*SOME, thing(77, "most", MOST), thing(78, "least", LEAST), thing(79, "none", Decimal(0))]
    path = tmp_path / "things.parquet"
    with engine.session() as session:
        session.load("many", THINGS.columns, rows)
        session.write(THINGS, "many", path)
        found = row_hash(session, THINGS, [str(path)])
    lines = sorted(canonical(row).encode() for row in rows)
    assert found == hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest()


def test_relations_of_one_session_are_unknown_to_the_next(engine: Engine) -> None:
    with engine.session() as session:
        session.load("few", THINGS.columns, [thing(1)])
    with engine.session() as session, pytest.raises(Exception, match="few"):
        session.rows("SELECT * FROM few")


def test_nothing_is_left_in_the_scratch_of_a_session(engine: Engine, tmp_path: Path) -> None:
    """Also not of what it kept and read in chunks."""
    statement = tmp_path / "one.sql"
    statement.write_text("SELECT number FROM few", "utf-8")
    with engine.session() as session:
        before = {path for path in engine.scratch.glob("*") if not path.name.startswith("spark-session")}
        session.load("few", THINGS.columns, [thing(1)])
        session.keep("kept", statement)
        assert list(session.chunks("SELECT * FROM kept")) == [[(1,)]]
    assert set(engine.scratch.glob("*")) == before


def test_many_rows_come_in_chunks_in_order_and_none_is_lost(engine: Engine) -> None:
    with engine.session() as session:
        session.load("many", THINGS.columns, [thing(number) for number in range(120_001)])
        chunks = list(session.chunks("SELECT number FROM many ORDER BY number DESC"))
    assert len(chunks) > 1
    assert [row[0] for chunk in chunks for row in chunk] == list(range(120_000, -1, -1))


def test_a_loaded_relation_may_be_empty_and_keeps_its_types(engine: Engine) -> None:
    with engine.session() as session:
        session.load("none", THINGS.columns, [])
        assert session.rows("SELECT count(*), sum(quantity) FROM none") == [(0, None)]


def test_a_name_may_be_given_again_to_another_kind_of_relation(engine: Engine, tmp_path: Path) -> None:
    """What is computed when read, what is kept, what is loaded and what is scanned share one space of names."""
    statement = tmp_path / "one.sql"
    statement.write_text("SELECT 1 AS number", "utf-8")
    with engine.session() as session:
        session.define("named", statement)
        session.keep("named", statement)
        session.define("named", statement)
        assert session.rows("SELECT * FROM named") == [(1,)]
        session.load("named", THINGS.columns, [thing(7)])
        session.scan("named", THINGS, [])
        assert session.rows("SELECT * FROM named") == []


def test_what_is_defined_follows_its_relations_and_what_is_kept_does_not(
    engine: Engine, tmp_path: Path
) -> None:
    statement = tmp_path / "numbers.sql"
    statement.write_text("-- all of them\nSELECT number FROM few;\n", "utf-8")
    with engine.session() as session:
        session.load("few", THINGS.columns, [thing(1)])
        session.define("defined", statement)
        session.keep("kept", statement)
        session.load("few", THINGS.columns, [thing(2)])
        assert session.rows("SELECT * FROM defined") == [(2,)]
        assert session.rows("SELECT * FROM kept") == [(1,)]


def test_a_table_in_memory_is_a_relation_and_the_next_one_takes_its_name(engine: Engine) -> None:
    with engine.session() as session:
        for numbers in ([1, 2], [3]):
            session.load_arrow("numbers", pa.table({"number": numbers, "line": [f"ü{n}\n" for n in numbers]}))
            found = session.rows("SELECT number, line FROM numbers ORDER BY number")
            assert found == [(number, f"ü{number}\n") for number in numbers]


Q = "CAST('{}' AS DECIMAL(38,9))".format


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param(
            "SELECT CAST(moment AS VARCHAR), CAST(quantity AS VARCHAR), CAST(amount AS VARCHAR), "
            "CAST(flag AS VARCHAR), CAST(day AS VARCHAR), CAST(epoch_us(moment) AS VARCHAR) FROM few WHERE number = 1",
            [
                (
                    "2026-10-05 23:59:59.999999+00",
                    "1.000000001",
                    "0.000000000000000000000001",
                    "true",
                    "2026-10-05",
                    "1791244799999999",
                )
            ],
            id="texts",
        ),
        pytest.param(
            "SELECT CAST(moment AS DATE), CAST(day AS TIMESTAMPTZ), make_timestamptz(1), day + 1, greatest(day, NULL), "
            "moment + INTERVAL 5 MINUTE > moment, date_diff('day', day, DATE '2026-11-05') FROM few WHERE number = 1",
            [
                (
                    DAY,
                    datetime(2026, 10, 5, tzinfo=UTC),
                    datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
                    date(2026, 10, 6),
                    DAY,
                    True,
                    31,
                )
            ],
            id="times",
        ),
        pytest.param("SELECT name FROM few ORDER BY name", [("a",), ("b",), (None,)], id="nulls last"),
        pytest.param("SELECT name FROM few ORDER BY name DESC", [("b",), ("a",), (None,)], id="descending"),
        pytest.param("SELECT name FROM few ORDER BY ALL", [("a",), ("b",), (None,)], id="order by all"),
        pytest.param(
            "SELECT day, count(*) AS n FROM few GROUP BY ALL ORDER BY ALL", [(DAY, 3)], id="group by all"
        ),
        pytest.param(
            r"SELECT 'a\|b' || '\N', 'it''s', NULL || 'x'", [("a\\|b\\N", "it's", None)], id="literals"
        ),
        pytest.param(
            "SELECT f.* REPLACE (number + 10 AS number), 'x' AS more FROM few AS f WHERE number = 1",
            [(DAY, "a", 11, *thing(1)[3:], "x")],
            id="replace",
        ),
        pytest.param(
            "SELECT * EXCLUDE (day, name, payload, moment, flag, amount) FROM few WHERE number = 1",
            [(1, Decimal("1.000000001"))],
            id="exclude",
        ),
        pytest.param(
            "SELECT f.number, p.part.customer_id, p.part.quantity, p.part.event_share, p.part.allocation_index "
            f"FROM few AS f, unnest(payer_parts('{PARTS}')) AS p(part) WHERE f.number = 1 ORDER BY ALL",
            [
                (1, "acmé", Decimal("1.500000001"), Decimal("0.3"), 0),
                (1, "b", Decimal(-2), Decimal("0.7"), 1),
            ],
            id="payers' parts",
        ),
        pytest.param(
            "SELECT f.number, p.part.project_id FROM few AS f LEFT JOIN "
            f"unnest(payer_parts(CASE WHEN f.number = 1 THEN '{PARTS}' END)) AS p(part) ON true ORDER BY ALL",
            [(1, "p"), (1, "q"), (2, None), (3, None)],
            id="payers' parts, or nothing",
        ),
        pytest.param(
            """SELECT json_extract_string(d, '$."a.b''"'), json_member(d, 'x' || '/~'), json_member(d, 'none') """
            """FROM (SELECT '{"a.b''":"1 é","x/~":"\\"q\\""}' AS d) AS x""",
            [("1 é", '"q"', None)],
            id="members of JSON",
        ),
        pytest.param(
            f"SELECT {Q('0.000000001')} * CAST(-3 AS BIGINT), {Q(MOST)} + {Q(0)}, -{Q(MOST)}, "
            f"floor({Q('-1.5')}), coalesce(NULL, {Q(MOST)}, 0), CASE WHEN true THEN {Q(MOST)} ELSE 0 END, "
            f"CAST({Q('0.5')} AS DECIMAL(38,0)), CAST({Q('-0.5')} AS DECIMAL(38,0)), abs({Q(LEAST)}), "
            f"-{Q(LONG)}, {Q(0)} - {Q(LONG)}, {Q(LONG)} * CAST(-1 AS BIGINT), floor({Q(LONG)}), "
            f"{Q(LONG)} % CAST(10 AS BIGINT), CAST(CAST({Q(LONG)} AS VARCHAR) AS DECIMAL(38,9))",
            [
                (Decimal("-3E-9"), MOST, LEAST, Decimal(-2), MOST, MOST, Decimal(1), Decimal(-1), MOST)
                + (LONG.copy_negate(),) * 3
                + (Decimal(123456789012345678901234567), Decimal("7.123456789"), LONG)
            ],
            id="decimals",
        ),
        pytest.param("SELECT 7 // 2, -7 // 2, -7 % 2", [(3, -3, -1)], id="whole numbers"),
        pytest.param(
            "SELECT number, sum(quantity) OVER (ORDER BY number ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), "
            "lag(number, 1, 0) OVER (ORDER BY number), max(name) OVER (ORDER BY number) FROM few ORDER BY number",
            [
                (1, None, 0, "a"),
                (2, Decimal("1.000000001"), 1, "b"),
                (3, Decimal("2.000000002"), 2, "b"),
            ],
            id="windows",
        ),
        pytest.param(
            "SELECT number FROM few QUALIFY row_number() OVER (ORDER BY name NULLS FIRST) = 1",
            [(3,)],
            id="qualify",
        ),
        pytest.param(
            "SELECT a.number, b.number FROM few AS a FULL OUTER JOIN (SELECT number + 1 AS number FROM few) AS b "
            "ON a.number = b.number WHERE a.number IS DISTINCT FROM b.number ORDER BY ALL",
            [(1, None), (None, 4)],
            id="full outer join",
        ),
        pytest.param(
            "SELECT count(*) FILTER (WHERE name IS NULL), arg_max(name, number) FILTER (WHERE name IS NOT NULL), "
            "count(DISTINCT day), bool_or(flag) FROM few",
            [(1, "b", 1, True)],
            id="aggregates",
        ),
        pytest.param(
            "SELECT number FROM few WHERE (day, number) IN (SELECT day, max(number) FROM few GROUP BY day)",
            [(3,)],
            id="pairs",
        ),
    ],
)
def test_a_query_has_one_answer(engine: Engine, query: str, expected: Sequence[Thing]) -> None:
    with engine.session() as session:
        session.load("few", THINGS.columns, [thing(1, "a"), thing(2, "b"), thing(3)])
        assert session.rows(query) == expected


@pytest.mark.parametrize(
    "query",
    [
        f"SELECT sum(q) FROM (SELECT {Q(MOST)} AS q UNION ALL SELECT {Q(MOST)}) AS x",
        f"SELECT {Q(MOST)} + {Q(MOST)}",
        f"SELECT {Q(MOST)} * CAST(2 AS BIGINT)",
        f"SELECT sum(q) OVER (ORDER BY n) FROM (SELECT {Q(MOST)} AS q, 1 AS n UNION ALL SELECT {Q(MOST)}, 2) AS x",
        "SELECT CAST('1' || repeat('0', 29) AS DECIMAL(38,9))",
        "SELECT CAST(9223372036854775807 AS BIGINT) + CAST(1 AS BIGINT)",
        "SELECT CAST(9223372036854775808 AS BIGINT)",
    ],
)
def test_what_does_not_fit_is_an_error_of_the_ports_and_never_another_number(
    engine: Engine, tmp_path: Path, query: str
) -> None:
    """Wherever it shows: when rows are read, in chunks too, and when a relation is kept."""
    statement = tmp_path / "too_large.sql"
    statement.write_text(query, "utf-8")
    with engine.session() as session:
        with pytest.raises(EngineOverflowError):
            session.rows(query)
        with pytest.raises(EngineOverflowError):
            list(session.chunks(query))
        with pytest.raises(EngineOverflowError):
            session.keep("kept", statement)


def test_a_row_that_does_not_fit_its_table_is_not_written(engine: Engine, tmp_path: Path) -> None:
    statement, path = tmp_path / "too_large.sql", tmp_path / "out" / "things.parquet"
    path.parent.mkdir()
    columns = ", ".join(name for name in THINGS.column_names if name != "quantity")
    statement.write_text(
        f"SELECT {columns}, CAST(amount + 1 AS DECIMAL(38,0)) * 10000000000000000000 * "
        "CAST(100000000000 AS BIGINT) AS quantity FROM few",
        "utf-8",
    )
    with engine.session() as session:
        session.load("few", THINGS.columns, [thing(1)])
        session.define("too_large", statement)
        with pytest.raises(EngineOverflowError):
            session.write(THINGS, "too_large", path)
    assert [file for file in path.parent.iterdir() if engine.version.startswith("Spark")] == []


def test_allocations_that_are_no_json_are_an_error(engine: Engine) -> None:
    with engine.session() as session, pytest.raises(Exception, match=r"(?i)json"):
        session.rows("SELECT payer_parts('[{')")


def test_an_engine_tells_its_version(engine: Engine) -> None:
    name = "DuckDB " if isinstance(engine, DuckDBEngine) else "Spark "
    assert engine.version.startswith(name)

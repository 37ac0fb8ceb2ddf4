"""DuckDB's SQL as Spark's: what is written otherwise, and what is refused because Spark would take it otherwise."""

from pathlib import Path

import pytest

import billing_pipeline
from billing_pipeline.errors import DialectError
from billing_pipeline.lake.spark_dialect import to_spark

pytest.importorskip("sqlglot", reason="Spark: sqlglot is not installed (the extra `spark`)")

STATEMENTS = sorted(Path(billing_pipeline.__file__).parent.rglob("*.sql"))


def columns_of(relation: str) -> list[str]:
    return {"things": ["a", "b", "c"]}.get(relation, ["d"])


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda path: path.name)
def test_every_statement_has_a_form_for_spark(statement: Path) -> None:
    assert to_spark(statement.read_text("utf-8"), columns_of)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('SELECT "a" FROM t', "SELECT `a` FROM t"),
        ("SELECT a FROM t ORDER BY a", "SELECT a FROM t ORDER BY a NULLS LAST"),
        ("SELECT epoch_us(a) FROM t", "SELECT UNIX_MICROS(a) FROM t"),
        ("SELECT make_timestamptz(epoch_us(a)) FROM t", "SELECT TIMESTAMP_MICROS(UNIX_MICROS(a)) FROM t"),
        ("SELECT -a, -(a + 1), -1 FROM t", "SELECT (0 - (a)), (0 - ((a + 1))), -1 FROM t"),
        ("SELECT a - INTERVAL 5 MINUTE FROM t", "SELECT a - INTERVAL '5' MINUTE FROM t"),
        (
            "SELECT * REPLACE (b + 1 AS b) FROM things",
            "SELECT `things`.`a`, b + 1 AS b, `things`.`c` FROM things",
        ),
        (
            "SELECT x.* EXCLUDE (a), y.* FROM things AS x CROSS JOIN t AS y",
            "SELECT `x`.`b`, `x`.`c`, `y`.`d` FROM things AS x CROSS JOIN t AS y",
        ),
        (
            "SELECT * RENAME (a AS z) FROM things",
            "SELECT `things`.`a` AS `z`, `things`.`b`, `things`.`c` FROM things",
        ),
        (
            "WITH x AS (SELECT t.* FROM things AS t UNION ALL SELECT 1, 2, 3) SELECT * EXCLUDE (a) FROM x",
            "WITH x AS (SELECT t.* FROM things AS t UNION ALL SELECT 1, 2, 3) SELECT `x`.`b`, `x`.`c` FROM x",
        ),
        (
            "SELECT * EXCLUDE (a) FROM (SELECT 1 AS a, z FROM t) AS x",
            "SELECT `x`.`z` FROM (SELECT 1 AS a, z FROM t) AS x",
        ),
        ("SELECT 'a\\' FROM t -- said by nobody", "SELECT 'a\\\\' FROM t"),
    ],
)
def test_a_rule_is_applied(query: str, expected: str) -> None:
    assert to_spark(query, columns_of) == expected


def test_rules_reach_what_is_nested() -> None:
    """One rule's argument is written by the next."""
    found = to_spark("SELECT CAST(json_member(CAST(a AS VARCHAR), 'x') AS VARCHAR) FROM t", columns_of)
    assert found.count("TYPEOF") >= 2
    assert "JSON_MEMBER" not in found


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("SELECT a / 2 FROM t", "floating point"),
        ("SELECT avg(a) FROM t", "floating point"),
        ("SELECT CAST(a AS DOUBLE) FROM t", "floating point"),
        ("SELECT list(a ORDER BY b) FROM t", "no order of its own"),
        ("SELECT 1 FROM t ASOF JOIN s ON t.a >= s.a", "no such join"),
        ("SELECT json_extract_string(a, '$.b.c') FROM t", "one member"),
        ("SELECT json_extract_string(a, '$.' || b) FROM t", "json_member"),
        ("SELECT * EXCLUDE (x) FROM unnest([1, 2]) AS u(x)", "name them"),
        ("SELECT * EXCLUDE (a) FROM things JOIN t USING (a)", "join ON them"),
        ("SELECT 1 FROM t LEFT JOIN unnest(t.a) AS u(x) ON u.x = t.b", "ON true"),
        ("SELEC 1", "SELEC"),
    ],
)
def test_what_spark_would_take_otherwise_is_refused_by_name(query: str, why: str) -> None:
    with pytest.raises(DialectError, match=why):
        to_spark(query, columns_of)

"""What the `billing` command answers, prints, refuses, and which exit status it ends with."""

import csv
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from billing_pipeline.settings import PROJECT_ROOT

Billing = Callable[..., Any]

HEAVY = (
    *("alembic", "dagster", "duckdb", "pandas", "polars", "pyarrow"),
    *("psycopg", "pyiceberg", "pyspark", "sqlalchemy", "sqlglot", "stripe"),
)
IMPORT = ("import", "--format", "ndjson", "--received-at", "occurred", "--register")


def event(name: str, quantity: str) -> str:
    """A usage event of acme, as a line of NDJSON."""
    return json.dumps(
        {
            "type": "usage",
            "schema_version": 2,
            "source": "app",
            "id": name,
            "customer_id": "acme",
            "project_id": "p",
            "occurred_at": "2024-01-31T12:00:00Z",
            "unit": "token",
            "quantity": quantity,
            "dimensions": {"model": "atlas-large", "token_class": "output"},
            "correlation_id": "c",
        }
    )


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, billing: Billing) -> Path:
    """A home with two events landed; tests read it only."""
    folder = tmp_path_factory.mktemp("company")
    file = folder / "events.ndjson"
    file.write_text(f"{event('e-1', '12345678901234567890123456789.123456789')}\n{event('e-2', '0.1')}\n")
    done = billing(folder / "home", *IMPORT, file)
    assert done.returncode == 0, done.stderr
    # A second import lands what the first one has put into the queue.
    again = billing(folder / "home", *IMPORT, file)
    assert again.returncode == 0, again.stderr
    return folder / "home"


def test_help_is_there_at_once() -> None:
    """`billing --help` imports none of the heavy libraries: it is asked for more often than anything else."""
    code = (
        "import sys\n"
        "from billing_pipeline.cli import billing\n"
        "try:\n    billing.main(['--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        f"print('heavy:', sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy: []"
    for command in ("import", "queue", "close", "requeue", "invoice", "sql", "schema", "doctor", "demo"):
        assert f"  {command} " in done.stdout


def test_an_invalid_line_is_told_with_its_place_and_does_not_stop_the_rest(
    tmp_path: Path, billing: Billing
) -> None:
    """It goes into the log too, to be found among the rejected records."""
    file = tmp_path / "events.ndjson"
    file.write_text(f"{event('e-1', '1')}\n{{broken\n{event('e-2', '-5')}\n{event('e-3', '1')}\n")
    done = billing(tmp_path / "home", *IMPORT, file)
    assert done.returncode == 0
    assert f"{file}:2" in done.stdout
    assert f"{file}:3" in done.stdout
    assert "quantity" in done.stdout
    status = billing(tmp_path / "home", "queue", "status")
    assert any("records in the log" in line and " 7 " in line for line in status.stdout.splitlines())


def test_a_strict_import_appends_nothing_where_one_line_is_invalid(tmp_path: Path, billing: Billing) -> None:
    """The error names the line, and the log stays as it was."""
    file = tmp_path / "events.ndjson"
    file.write_text(f"{event('e-1', '1')}\n{{broken\n")
    done = billing(tmp_path / "home", *IMPORT, "--strict", file)
    assert done.returncode == 1
    assert f"{file}:2" in done.stderr
    assert "nothing was appended" in done.stderr
    status = billing(tmp_path / "home", "queue", "status")
    assert any("records in the log" in line and " 0 " in line for line in status.stdout.splitlines())


@pytest.mark.parametrize("output", ["table", "csv", "json"])
def test_every_format_prints_decimals_exactly(small: Path, billing: Billing, output: str) -> None:
    """38 digits are 38 digits, and a tenth is a tenth."""
    query = (
        "SELECT CAST('12345678901234567890123456789.123456789' AS DECIMAL(38, 9)) AS large, "
        "CAST(0.1 AS DECIMAL(9, 9)) AS small, max(queue_offset) AS whole FROM raw_usage_events"
    )
    done = billing(small, "sql", query, "--format", output)
    assert done.returncode == 0, done.stderr
    large, little = "12345678901234567890123456789.123456789", "0.100000000"
    if output == "json":
        [row] = [json.loads(line) for line in done.stdout.splitlines()]
        assert (row["large"], row["small"]) == (large, little)
        assert Decimal(row["large"]) == Decimal(large)
        assert isinstance(row["whole"], int)
    elif output == "csv":
        [row] = list(csv.DictReader(io.StringIO(done.stdout)))
        assert (row["large"], row["small"]) == (large, little)
    else:
        assert large in done.stdout
        assert little in done.stdout


@pytest.mark.parametrize(
    ("query", "told"),
    [
        pytest.param("DELETE FROM raw_usage_events", "read-only", id="delete"),
        pytest.param("DROP VIEW raw_usage_events", "read-only", id="drop"),
        pytest.param("CREATE TABLE t AS SELECT 1", "read-only", id="create"),
        pytest.param("SELECT 1; SELECT 2", "one SELECT", id="two statements"),
        pytest.param("SET threads = 1", "read-only", id="set"),
        pytest.param("ATTACH '/tmp/x.duckdb'", "read-only", id="attach"),
        pytest.param("COPY (SELECT 1) TO '{outside}'", "read-only", id="copy out"),
        pytest.param("SELECT * FROM read_csv('{outside}')", "", id="read outside the lake"),
        pytest.param("SELECT * FROM '{outside}'", "", id="read outside the lake by name"),
        pytest.param("SELECT * FROM read_text('/etc/hostname')", "", id="read text"),
        pytest.param("SELECT * FROM glob('/etc/*')", "", id="list files"),
        pytest.param("SELEC 1", "", id="no SQL"),
        pytest.param("SELECT * FROM no_such_table", "no_such_table", id="no such table"),
    ],
)
def test_sql_reads_the_tables_and_nothing_else(
    small: Path, tmp_path: Path, billing: Billing, query: str, told: str
) -> None:
    """Writes, several statements and files outside the lake are refused, in one message without a traceback."""
    outside = tmp_path / "outside.csv"
    outside.write_text("secret\n1\n")
    done = billing(small, "sql", query.format(outside=outside))
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stdout
    assert outside.read_text() == "secret\n1\n"


def test_an_invoice_that_is_not_there_is_told_clearly(small: Path, billing: Billing) -> None:
    """Customer and period are named, and what to do; the exit status is 1."""
    done = billing(small, "invoice", "show", "nobody", "2024-01")
    assert done.returncode == 1
    assert "there is no invoice of customer 'nobody' for the period that starts on 2024-01-01" in done.stderr
    assert "run `billing close`" in done.stderr
    assert done.stdout == ""
    wrong = billing(small, "invoice", "show", "nobody", "January")
    assert wrong.returncode == 1
    assert "January" in wrong.stderr


def test_the_printed_schema_is_a_json_schema_that_takes_events_and_refuses_others(
    tmp_path: Path, billing: Billing
) -> None:
    """What producers validate against is valid itself."""
    schema = json.loads(billing(tmp_path, "schema").stdout)
    validator = jsonschema.validators.validator_for(schema)
    validator.check_schema(schema)
    assert validator(schema).is_valid(json.loads(event("e-1", "1")))
    assert not validator(schema).is_valid(json.loads(event("e-1", "1")) | {"quantity": 1.5})


def test_the_doctor_is_content_with_a_healthy_home_and_not_with_a_damaged_rule_book(
    small: Path, tmp_path: Path, billing: Billing, billing_process: Billing
) -> None:
    """Exit status 0 and 1; what is damaged is named with file, line and field."""
    healthy = billing(small, "doctor")
    assert healthy.returncode == 0, healthy.stdout
    assert "mend:" not in healthy.stdout
    shutil.copytree(PROJECT_ROOT / "data", tmp_path / "data", ignore=shutil.ignore_patterns("home"))
    book = tmp_path / "data" / "rule_books" / "2026-10-16.yaml"
    book.write_text(book.read_text().replace("aggregation: sum", "aggregation: average", 1))
    sick = billing_process(small, "doctor", changed={"BILLING_DATA": str(tmp_path / "data")})
    assert sick.returncode == 1
    assert "Traceback" not in sick.stderr
    unwrapped = sick.stdout.replace("\n", "")
    assert "mend:" in unwrapped
    assert "2026-10-16.yaml" in unwrapped
    assert "aggregation" in unwrapped


def test_an_impossible_setting_is_refused_with_its_name(tmp_path: Path, billing: Billing) -> None:
    """A setting that cannot be used stops the command before it does anything."""
    done = billing(tmp_path / "home", "doctor", changed={"BILLING_THREADS": "many"})
    assert done.returncode == 1
    assert "BILLING_THREADS='many'" in done.stderr
    assert not (tmp_path / "home").exists()

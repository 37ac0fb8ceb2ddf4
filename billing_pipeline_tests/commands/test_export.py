"""`billing export`: FOCUS and invoices as files, with cells that no spreadsheet runs."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from billing_pipeline.audit.export.csv_file import cell
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.invoicing.period_close.push_stage import push_days
from billing_pipeline.metering.stage import StageResult
from billing_pipeline.pipeline import Pipeline
from billing_pipeline_tests.audit.conftest import record_company
from billing_pipeline_tests.audit.invoiced_company import DAY, END, START, october

DAYS = [date(2026, 10, 1), date(2026, 10, 5), DAY, END]


@pytest.fixture
def closed(
    *,
    pipeline: Pipeline,
    usage: Callable[..., LogRecord],
    change: Callable[..., LogRecord],
    registered: Callable[..., list[LogRecord]],
    receive: Callable[..., None],
    close: Callable[[Pipeline, Sequence[date]], StageResult],
) -> Pipeline:
    """October of the company, and of a customer whose name is a formula; closed, recorded and pushed."""
    sly = [(START, record) for record in registered("sly", name='=HYPERLINK("http://x.example")')]
    used = (f"{DAY}T12:00:00Z", usage("sly", f"{DAY}T12:00:00Z", customer_id="sly", quantity="1000000"))
    receive(pipeline, [*sly, *october(usage, change, registered), used])
    record_company(pipeline, close(pipeline, DAYS), DAYS)
    push_days(pipeline.workshop, pipeline.control, pipeline.settings, [END])
    return pipeline


@pytest.fixture
def billing(closed: Pipeline, in_process: Callable[..., Any]) -> Callable[..., Any]:
    """Runs the command on the company's home; what became of it."""
    variables = {
        "BILLING_HOME": str(closed.settings.home),
        "BILLING_DATA": str(closed.settings.data),
        "BILLING_TOML": str(closed.settings.home / "none.toml"),
    }
    return lambda *arguments: in_process(("export", *arguments), variables)


@pytest.mark.parametrize("output", ["parquet", "csv"])
def test_focus_is_written_where_it_is_asked_for(
    billing: Callable[..., Any], tmp_path: Path, output: str
) -> None:
    path = tmp_path / "out" / "focus"
    done = billing("focus", "--period", "2026-10", "--format", output, "-o", path, "--provider", "Atlas AI")
    assert done.returncode == 0, done.stderr
    assert "rows of" in done.stdout
    assert path.stat().st_size > 0


def test_every_line_stands_beside_its_invoices_total(billing: Callable[..., Any]) -> None:
    """Also where it is in Stripe; numbers stay numbers, negative ones too, and a formula is text."""
    found = list(csv.DictReader(io.StringIO(billing("invoices", "--period", "2026-10").stdout)))
    by_customer = {(row["customer_id"], row["currency"]): row for row in found}
    acme = by_customer["acme", "eur"]
    assert (acme["invoice_total"], acme["invoice_total_minor"], acme["amount_minor"]) == (
        "9.60",
        "960",
        "960",
    )
    assert (acme["stripe_place"], acme["stripe_state"]) == ("invoice", "reconciled")
    assert acme["stripe_invoice_id"].startswith("in_")
    assert by_customer["sly", "usd"]["customer_name"] == '\'=HYPERLINK("http://x.example")'
    assert ("stuck", "usd") not in by_customer


def test_json_is_what_the_invoice_shows(
    billing: Callable[..., Any], in_process: Callable[..., Any], closed: Pipeline, tmp_path: Path
) -> None:
    """`billing invoice show --json`, with names and Stripe beside it."""
    path = tmp_path / "invoices.json"
    assert billing("invoices", "--period", "2026-10", "--format", "json", "-o", path).returncode == 0
    (found,) = [each for each in json.loads(path.read_text("utf-8")) if each["customer_id"] == "beta"]
    variables = {"BILLING_HOME": str(closed.settings.home), "BILLING_DATA": str(closed.settings.data)}
    shown = json.loads(in_process(("invoice", "show", "beta", "2026-10", "--json"), variables).stdout)
    assert found["customer_name"] == "beta"
    assert all(line["stripe"]["place"] == "invoice" for line in found["lines"])
    for line in found["lines"]:
        del line["stripe"]
    assert {name: value for name, value in found.items() if name in shown} == shown


def test_a_period_without_invoices_is_refused(billing: Callable[..., Any], tmp_path: Path) -> None:
    done = billing("focus", "--period", "2026-12", "-o", tmp_path / "none")
    assert done.returncode == 1
    assert "2026-12" in done.stderr
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-x", "'-x"),
        ("@a", "'@a"),
        ("\tx", "'\tx"),
        ("a=b", "a=b"),
        (-5, "-5"),
        (None, ""),
    ],
)
def test_a_text_that_begins_like_a_formula_is_guarded_and_a_number_is_not(value: object, text: str) -> None:
    assert cell(value) == text

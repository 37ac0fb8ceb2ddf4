"""`billing explain`: what is said of lines of every kind, and that it can be verified."""

import csv
import io
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.audit.explain.check import Checked, compare, read_received
from billing_pipeline.audit.explain.event_list import events_csv
from billing_pipeline.audit.explain.explanation import Event, Explanation, as_document, document_hash
from billing_pipeline.audit.explain.gather import explain_line
from billing_pipeline.audit.explain.page import as_page, document_in
from billing_pipeline.cli import billing
from billing_pipeline.errors import ExplanationError, TraceNotFoundError
from billing_pipeline.metering.stage import scan
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.schemas.table import PartitionKey
from billing_pipeline.schemas.tables import INVOICE_LINES, USAGE_ROLLUPS

Rows = Callable[[Pipeline, str], list[tuple[Any, ...]]]
DAY = date(2026, 10, 20)


OUTPUT = "customer_id = 'acme' AND charge = 'llm_tokens' AND dimensions LIKE '%output%'"


def _one(company: Pipeline, rows: Rows) -> str:
    found = rows(company, f"SELECT line_id FROM invoice_lines WHERE {OUTPUT} ORDER BY quantity DESC LIMIT 1")
    return str(found[0][0])


def test_every_line_can_be_made_again_from_the_tables(company: Pipeline, rows: Rows) -> None:
    """The digest of each line's evidence, computed from rollups and rules, is the one that stands in the line."""
    ids = [line_id for (line_id,) in rows(company, "SELECT line_id FROM invoice_lines ORDER BY line_id")]
    assert ids
    for line_id in ids:
        found = explain_line(
            company.workshop, company.control, company.settings.rule_books_path, line_id, 0
        ).explanation
        assert found.hashes.verified, found.line
        assert found.steps[-1].what == "this line"


def test_a_line_is_explained_with_its_days_events_and_corrections(company: Pipeline, rows: Rows) -> None:
    """Quantities by day add up, and the correction says what it changed."""
    found = explain_line(
        company.workshop, company.control, company.settings.rule_books_path, _one(company, rows), 3
    ).explanation
    assert sum(day.total for day in found.days) == found.line.quantity
    assert sum(event.sign * event.quantity for event in found.events) != 0
    assert (len(found.events), found.event_rows > 3) == (3, True)
    fixes = {each.corrects_id: (each.action, each.before - each.after) for each in found.corrections}
    assert fixes["b"] == ("adjust", Decimal(400000))
    assert {each.table for each in found.partitions} == {"invoice_lines", "usage_rollups"}
    assert all(each.content_hash for each in found.partitions)
    assert f"name: {found.line.charge}" in found.rules.price
    assert found.rules.used


def test_late_usage_is_told_with_when_it_came(company: Pipeline, rows: Rows) -> None:
    """Its usage day, the day it was posted on, and a column of its own by day."""
    found = [
        explain_line(
            company.workshop, company.control, company.settings.rule_books_path, line_id, 0
        ).explanation
        for (line_id,) in rows(company, f"SELECT line_id FROM invoice_lines WHERE {OUTPUT}")
    ]
    (late,) = [event for each in found for event in each.late]
    assert (late.id, late.usage_day, late.posting_day) == ("late", date(2026, 10, 5), DAY)
    (day,) = [day for each in found for day in each.days if day.late]
    assert (day.usage_day, day.late) == (late.usage_day, late.quantity)


def test_the_csv_holds_every_event_and_adds_up(company: Pipeline, rows: Rows) -> None:
    """All rows, though only some are listed; signed quantities come to the line's quantity."""
    found = explain_line(
        company.workshop, company.control, company.settings.rule_books_path, _one(company, rows), 1
    )
    listed = list(csv.DictReader(io.StringIO(found.events_csv)))
    assert len(listed) == found.explanation.event_rows
    total = sum(int(row["sign"]) * int(row["quantity"]) for row in listed)
    assert total == found.explanation.line.quantity


def test_nothing_of_another_customer_is_told(company: Pipeline, rows: Rows) -> None:
    """Of an event that two customers share, each sees its own part only."""
    for (line_id,) in rows(company, "SELECT line_id FROM invoice_lines WHERE customer_id = 'acme'"):
        found = explain_line(
            company.workshop, company.control, company.settings.rule_books_path, line_id, 100
        )
        page = as_page(as_document(found.explanation), found.events_csv)
        assert "beta" not in page
        assert "beta" not in found.events_csv


def test_a_changed_rollup_is_seen(company: Pipeline, rows: Rows, edit: Callable[..., None]) -> None:
    """Where the stored usage is not what the line was made of, the explanation does not claim to be verified."""
    line_id = _one(company, rows)
    ((version,),) = rows(company, f"SELECT rule_version FROM invoice_lines WHERE line_id = '{line_id}'")
    edit(USAGE_ROLLUPS, PartitionKey(DAY, version), "SELECT * REPLACE (quantity + 1 AS quantity) FROM part")
    found = explain_line(company.workshop, company.control, company.settings.rule_books_path, line_id, 1)
    assert not found.explanation.hashes.verified
    assert "Not verified" in as_page(as_document(found.explanation), "")


def test_an_unknown_line_is_refused(company: Pipeline) -> None:
    """With what to do."""
    with pytest.raises(TraceNotFoundError, match="invoice show"):
        explain_line(company.workshop, company.control, company.settings.rule_books_path, "nope", 1)


@pytest.fixture
def command(company: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Callable[[Sequence[str]], Any]:
    """Runs `billing explain` on the company."""
    monkeypatch.setenv("BILLING_HOME", str(company.settings.home))
    monkeypatch.setenv("BILLING_DATA", str(company.settings.data))

    def run(words: Sequence[str]) -> Any:
        return CliRunner().invoke(billing, ["explain", *words])

    return run


def test_text_json_page_and_events_say_the_same(
    company: Pipeline, rows: Rows, command: Callable[[Sequence[str]], Any], tmp_path: Path
) -> None:
    """One document in three forms; what was written passes the check, and a changed copy does not."""
    line_id = _one(company, rows)
    told = command([line_id])
    assert told.exit_code == 0, told.output
    assert "verified: made again from the stored usage" in told.stdout
    content = json.loads(command([line_id, "--json"]).stdout)
    page, events = tmp_path / "line.html", tmp_path / "events.csv"
    assert command([line_id, "--html", str(page), "--events", str(events)]).exit_code == 0
    assert json.loads(document_in(page.read_text("utf-8")) or "") == content
    assert content["document_hash"] == document_hash(content)
    checked = command(["--check", str(page)])
    assert (checked.exit_code, "right" in checked.stdout, "say the same" in checked.stdout) == (0, True, True)
    forged = tmp_path / "forged.json"
    content["line"]["amount_minor"] += 1
    forged.write_text(json.dumps(content), "utf-8")
    assert command(["--check", str(forged)]).exit_code == 1
    content["document_hash"] = document_hash(content)
    forged.write_text(json.dumps(content), "utf-8")
    refused = command(["--check", str(forged)])
    assert (refused.exit_code, "say otherwise in line" in refused.stdout) == (1, True)


def test_a_file_that_is_no_explanation_is_refused(tmp_path: Path) -> None:
    """Whether it is missing, no JSON, or another document."""
    path = tmp_path / "x.json"
    with pytest.raises(ExplanationError, match="holds no explanation"):
        read_received(path)
    path.write_text("<html></html>", "utf-8")
    with pytest.raises(ExplanationError, match="holds no explanation"):
        read_received(path)
    path.write_text("{}", "utf-8")
    with pytest.raises(ExplanationError, match="is no billing line explanation"):
        read_received(path)


@pytest.fixture(scope="module")
def any_explanation(closed_home: tuple[Pipeline, Path]) -> Explanation:
    """One to put hostile texts into."""
    made, _ = closed_home
    pipeline = Pipeline(made.settings)
    with pipeline.engine.session() as session:
        scan(pipeline.workshop, session, "lines", INVOICE_LINES)
        ((line_id,),) = session.rows(
            f"SELECT line_id FROM lines WHERE {OUTPUT} ORDER BY quantity DESC LIMIT 1"
        )
    found = explain_line(
        pipeline.workshop, pipeline.control, pipeline.settings.rule_books_path, str(line_id), 2
    ).explanation
    pipeline.control.dispose()
    return found


@given(
    st.text(max_size=40)
    | st.sampled_from(["<script>alert(1)</script>", '"><img src=x onerror=1>', "</script>"])
)
def test_no_text_becomes_markup(any_explanation: Explanation, text: str) -> None:
    """Whatever stands in names, ids and descriptions, the page has the same elements."""
    plain_page = as_page(as_document(any_explanation), "")
    event = any_explanation.events[0]._replace(source=text, id=text, correlation_id=text)
    hostile = replace(
        any_explanation,
        customer_name=text,
        line=any_explanation.line._replace(description=text),
        events=(event, *any_explanation.events[1:]),
    )
    page = as_page(as_document(hostile), "")
    tags = re.compile(r"<(/?[a-zA-Z!][^\s>]*)")
    assert tags.findall(page) == tags.findall(plain_page)
    assert json.loads(document_in(page) or "")["customer_name"] == text


@given(st.text(max_size=20).map(lambda text: f"={text}") | st.text(max_size=20))
def test_no_cell_of_the_csv_is_a_formula(any_explanation: Explanation, text: str) -> None:
    """A spreadsheet sees text, and the text can still be read."""
    event: Event = any_explanation.events[0]._replace(source=text)
    (row,) = csv.DictReader(io.StringIO(events_csv([event]), newline=""))
    assert not row["source"].startswith(("=", "+", "-", "@"))
    assert row["source"].removeprefix("'") == text.removeprefix("'")


def test_the_page_loads_nothing(any_explanation: Explanation) -> None:
    """No address but data, no script that runs, no style from elsewhere."""
    page = as_page(as_document(any_explanation), "a,b\r\n")
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
    assert "http://" not in page
    assert "https://" not in page
    assert re.findall(r"<script(?! type=\"application/json\")", page) == []


def test_what_the_tables_say_later_may_be_more(any_explanation: Explanation) -> None:
    """A later line of the same key, or its way to Stripe, is no difference of this one."""
    content = as_document(any_explanation)
    received = read_received_from(content)
    later = as_document(replace(any_explanation, other_lines=(), stripe=()))
    assert compare(received, later).holds


def read_received_from(content: dict[str, Any]) -> Any:
    """A document as it would be read from a file."""
    return Checked(json.loads(json.dumps(content)), is_whole=True)

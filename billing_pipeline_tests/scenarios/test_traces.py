"""Real usage from file to invoice: the two public traces, imported, closed, invoiced, and imported once more.

What is expected is worked out here from the CSV files and the YAML of the rule book alone, without the pipeline.
`make test` takes the first sessions of the agent trace, `make torture` all of it.
"""

import csv
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from billing_pipeline.settings import PROJECT_ROOT

Run = Callable[..., str]
Sql = Callable[[Path, str], list[dict[str, Any]]]
Hashes = Callable[..., dict[str, str]]
StripeInvoices = Callable[[Path], list[dict[str, Any]]]

TRACES = Path(os.environ.get("BILLING_TRACES", PROJECT_ROOT.parent / "shared" / "traces"))
AZURE = TRACES / "AzureLLMInferenceTrace_code.csv"
AGENT = TRACES / "kvct_agent_requests.csv"
SESSIONS = 40
AZURE_OPTIONS = ("--format", "azure-llm", "--start", "2023-11-27T01:00:00Z", "--customers", 3, "--register")
AGENT_OPTIONS = (
    *("--format", "agent-trace", "--start", "2023-11-27T02:00:00Z", "--days", 3),
    *("--customers", 4, "--register"),
)
LAST, NEXT_CLOCK = "2023-11-30", "2023-12-01T01:00:00Z"
CLASSES = ("input_uncached", "input_cached", "output")

pytestmark = pytest.mark.skipif(
    not (AZURE.is_file() and AGENT.is_file()), reason="the traces are not beside this checkout"
)


@dataclass(frozen=True)
class Closed:
    """A home with both traces closed, what they hold, and how things stood."""

    home: Path
    agent: Path
    tokens: Counter[str]
    events: int
    hashes: dict[str, str]
    invoices: dict[str, str]
    in_stripe: list[dict[str, Any]]


@pytest.fixture(
    scope="module",
    params=["first sessions", pytest.param("whole", marks=[pytest.mark.torture, pytest.mark.timeout(1800)])],
)
def closed(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    new_home: Callable[..., Path],
    billing: Run,
    sql: Sql,
    hashes: Hashes,
    stripe_invoices: StripeInvoices,
) -> Closed:
    """Both traces imported, their month closed and invoiced."""
    agent = AGENT
    if request.param != "whole":
        agent = tmp_path_factory.mktemp("traces") / AGENT.name
        agent.write_text("".join(first_sessions(AGENT, SESSIONS)))
    home = new_home()
    billing(home, "import", *AZURE_OPTIONS, AZURE)
    billing(home, "import", *AGENT_OPTIONS, agent)
    billing(home, "queue", "advance", "--to", NEXT_CLOCK)
    billing(home, "close", "--through", LAST)
    tokens, events = counted(AZURE, agent)
    invoices = invoices_of(home, billing, sql)
    return Closed(home, agent, tokens, events, hashes(home), invoices, stripe_invoices(home))


def test_the_tokens_by_class_are_those_of_the_files(closed: Closed, sql: Sql) -> None:
    """Cached input is not billed twice, nothing is lost, nothing is made up."""
    rows = sql(
        closed.home,
        "SELECT json_extract_string(dimensions, '$.token_class') AS token_class, sum(quantity) AS tokens, "
        "count(*) AS events FROM unique_usage_events GROUP BY ALL",
    )
    assert {row["token_class"]: Decimal(row["tokens"]) for row in rows} == dict(closed.tokens)
    assert sum(row["events"] for row in rows) == closed.events


def test_every_record_is_accounted_for_and_every_event_is_in_a_rollup(closed: Closed, sql: Sql) -> None:
    """Raw = control + valid + rejected, and the rollups count every billable unique event once."""
    count = "(SELECT count(*) FROM {})"
    [found] = sql(
        closed.home,
        f"SELECT {count.format('raw_usage_events')} AS raw, {count.format('registry_changes')} AS control, "
        f"{count.format('valid_usage_events')} AS valid, {count.format('rejected_usage_events')} AS rejected, "
        "(SELECT count(*) FROM unique_usage_events WHERE billable) AS billable, "
        "(SELECT CAST(sum(event_count) AS BIGINT) FROM usage_rollups) AS in_rollups, "
        "(SELECT count(*) FROM unmetered_usage) AS unmetered",
    )
    assert found["raw"] == found["control"] + found["valid"] + found["rejected"]
    assert (found["valid"], found["rejected"], found["unmetered"]) == (closed.events, 0, 0)
    assert found["in_rollups"] == found["billable"] == closed.events


def test_every_invoice_is_quantity_times_the_price_of_the_rule_book(closed: Closed, sql: Sql) -> None:
    """Line by line, each rounded once to the cent; nothing more is on the invoice."""
    prices = list_prices("2023-11-01")
    used = sql(
        closed.home,
        "SELECT customer_id, project_id, json_extract_string(dimensions, '$.model') AS model, "
        "json_extract_string(dimensions, '$.token_class') AS token_class, sum(quantity) AS tokens "
        f"FROM unique_usage_events WHERE usage_day <= DATE '{LAST}' GROUP BY ALL",
    )
    expected: Counter[str] = Counter()
    for row in used:
        dollars = Decimal(row["tokens"]) * prices[row["model"], row["token_class"]] / 1_000_000
        expected[row["customer_id"]] += int((dollars * 100).quantize(Decimal(1), ROUND_HALF_UP))
    found = {name: json.loads(document)["total_minor"] for name, document in closed.invoices.items()}
    assert found == dict(expected)
    assert sum(len(json.loads(document)["lines"]) for document in closed.invoices.values()) == len(used)
    assert {each["customer_id"]: each["total"] for each in closed.in_stripe} == dict(expected)


def test_the_same_files_again_are_only_duplicates_and_change_no_invoice(
    closed: Closed, billing: Run, refused: Run, sql: Sql, hashes: Hashes, stripe_invoices: StripeInvoices
) -> None:
    """A complete redelivery after the close: every event a duplicate, every invoice and closed hash as it was."""
    assert "--allow-late" in refused(closed.home, "import", *AZURE_OPTIONS, AZURE)
    billing(closed.home, "import", *AZURE_OPTIONS, "--allow-late", AZURE)
    billing(closed.home, "import", *AGENT_OPTIONS, "--allow-late", closed.agent)
    billing(closed.home, "queue", "advance", "--to", "2023-12-03T01:00:00Z")
    billing(closed.home, "close", "--through", "2023-12-02")

    again = "receipt_day > DATE '2023-11-30'"
    assert sql(
        closed.home,
        "SELECT outcome, count(*) AS events FROM duplicate_usage_events GROUP BY ALL",
    ) == [{"outcome": "duplicate", "events": closed.events}]
    assert sql(closed.home, f"SELECT count(*) AS events FROM rejected_usage_events WHERE {again}") == [
        {"events": 0}
    ]
    assert sql(closed.home, "SELECT count(*) AS events FROM unique_usage_events") == [
        {"events": closed.events}
    ]
    assert closed.hashes.items() <= hashes(closed.home).items()
    assert invoices_of(closed.home, billing, sql) == closed.invoices
    assert stripe_invoices(closed.home) == closed.in_stripe


def first_sessions(path: Path, number: int) -> Iterator[str]:
    """The header and the lines of the first sessions of the agent trace."""
    with path.open(encoding="utf-8") as file:
        yield next(file)
        sessions = groupby(file, key=lambda line: line.partition(",")[0])
        for _, lines in islice(sessions, number):
            yield from lines


def counted(azure: Path, agent: Path) -> tuple[Counter[str], int]:
    """Tokens by class of both files, and how many (request, class) pairs have any."""
    tokens: Counter[str] = Counter()
    events = 0

    def count(*amounts: int) -> None:
        nonlocal events
        tokens.update(dict(zip(CLASSES, amounts, strict=True)))
        events += sum(amount > 0 for amount in amounts)

    with azure.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            count(int(row["ContextTokens"]), 0, int(row["GeneratedTokens"]))
    with agent.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            cached = int(row["cached_prefix_tokens"])
            count(int(row["input_tokens"]) - cached, cached, int(row["output_tokens"]))
    return tokens, events


def list_prices(version: str) -> dict[tuple[str, str], Decimal]:
    """Dollars per million tokens by model and token class, read from the rule book's own text."""
    document = YAML(typ="base").load(PROJECT_ROOT / "data" / "rule_books" / f"{version}.yaml")
    table = document["price_tables"]["llm_list_usd"]
    assert table["per"] == "1000000"
    return {
        (row["match"]["model"], row["match"]["token_class"]): Decimal(row["unit_price"])
        for row in table["rows"]
    }


def invoices_of(home: Path, billing: Run, sql: Sql) -> dict[str, str]:
    """Every customer's invoice of the month, as the command shows it in JSON."""
    customers = sql(home, "SELECT DISTINCT customer_id FROM unique_usage_events ORDER BY customer_id")
    return {
        each["customer_id"]: billing(home, "invoice", "show", each["customer_id"], "2023-11", "--json")
        for each in customers
    }

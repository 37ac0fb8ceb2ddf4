"""The real agent trace as calls: its requests at the list prices of the rule book, laid out over two weeks."""

import os
from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from ruamel.yaml import YAML

from billing_pipeline.contract.instants import instant_us
from billing_pipeline.contract.wire import WireUsage
from billing_pipeline.guardrails.nano import nano_nearest
from billing_pipeline.ingest.sources.agent_trace import read
from billing_pipeline.ingest.sources.source_record import TraceOptions
from billing_pipeline.settings import PROJECT_ROOT
from billing_pipeline_tests.guardrails.velocity.shapes import Call

TRACES = Path(os.environ.get("BILLING_TRACES", PROJECT_ROOT.parent / "shared" / "traces"))
AGENT_TRACE = TRACES / "kvct_agent_requests.csv"
START = datetime(2026, 10, 19, tzinfo=UTC)
DAYS = 14
RULE_BOOK = PROJECT_ROOT / "data" / "rule_books" / "2026-10-16.yaml"


def agent_calls(customers: int) -> dict[str, list[Call]]:
    """Each customer's requests in order of time; a request is one call, whatever tokens it took."""
    prices = _prices()
    requests: dict[str, dict[str, Call]] = defaultdict(dict)
    for record in read(AGENT_TRACE, TraceOptions(customers=customers, start=START, days=DAYS)):
        try:
            event = msgspec.json.decode(record.payload, type=WireUsage)
        except msgspec.DecodeError:
            continue  # a row that is no request, kept as it stands
        dimensions: Any = event.dimensions
        cost = nano_nearest(prices[dimensions["model"], dimensions["token_class"]] * Decimal(event.quantity))
        of_customer, request = requests[event.customer_id], event.correlation_id
        at_us = instant_us(event.occurred_at)
        assert at_us is not None
        before = of_customer[request].cost if request in of_customer else 0
        of_customer[request] = Call(at_us, before + cost)
    return {customer_id: sorted(calls.values()) for customer_id, calls in sorted(requests.items())}


def _prices() -> dict[tuple[str, str], Decimal]:
    """US dollars for a token, by model and class."""
    table = YAML(typ="base").load(RULE_BOOK)["price_tables"]["llm_list_usd"]
    return {
        (row["match"]["model"], row["match"]["token_class"]): Decimal(row["unit_price"]) / int(table["per"])
        for row in table["rows"]
    }

"""A company for a story: its own rules and customers in a home of its own, spoken to by the `billing` command.

What happens is told in events with receipt times of their own. Days are made by `billing close` or, where months lie
between two of them, by the same stages over the days that hold anything: no figure depends on the others.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from billing_pipeline.invoicing.period_close.push_stage import push_days
from billing_pipeline.metering.stage import StageResult
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.settings import load_settings
from billing_pipeline.terminal.dagster_home import open_dagster

Event = dict[str, object]


@dataclass(frozen=True)
class Company:
    """A home, with its own data folder beside it once rules are written; `billing` runs the command on it."""

    home: Path
    run: Callable[..., str]
    run_refused: Callable[..., str]
    in_home: Callable[[Path], AbstractContextManager[None]]
    stages: Callable[[Pipeline, Sequence[date]], StageResult]

    @property
    def data(self) -> Path:
        """Its own data folder."""
        return self.home.parent / "data"

    def write_rules(self, **books: str) -> None:
        """Write rule books, YAML by file name."""
        (self.data / "rule_books").mkdir(parents=True, exist_ok=True)
        for name, text in books.items():
            (self.data / "rule_books" / f"{name}.yaml").write_text(text, "utf-8")

    def write_customers(self, *customers: Mapping[str, object]) -> None:
        """Write the registry's seed; each customer has a project p since 2025, unless it says otherwise."""
        default = {"effective_from": date(2025, 1, 1), "projects": ["p"]}
        self.data.mkdir(parents=True, exist_ok=True)
        yaml = YAML()
        yaml.representer.ignore_aliases = lambda *_: True  # a document of ours has none
        yaml.dump(
            {"customers": [{**default, **customer} for customer in customers]}, self.data / "registry.yaml"
        )

    def billing(self, *arguments: object) -> str:
        """Run the command; what it printed."""
        return self.run(self.home, *arguments)

    def refused(self, *arguments: object) -> str:
        """Run the command, which must end with an error; what that says."""
        return self.run_refused(self.home, *arguments)

    def receive(self, *events: Event, register_on: str | None = None) -> str:
        """Import events at their own receipt times, several files if they are given as such."""
        return self.receive_files(events, register_on=register_on)

    def receive_files(self, *files: Sequence[Event], register_on: str | None = None) -> str:
        """Import several files in one go; late events are meant to be late."""
        paths = []
        for number, events in enumerate(files):
            paths.append(self.home.parent / f"events-{number}.ndjson")
            paths[-1].write_text("".join(f"{json.dumps(event)}\n" for event in events), "utf-8")
        words = ["import", "--format", "ndjson", "--received-at", "received_at", "--allow-late"]
        if register_on is not None:
            words += ["--register", "--plan", register_on]
        return self.billing(*words, *paths)

    def make(self, *days: str) -> dict[str, str]:
        """Make every partition of some days, as a close does; their content hashes by table and key."""
        with self.in_home(self.home):
            pipeline = Pipeline(load_settings())
            with pipeline.queue() as queue:
                pipeline.lander(queue).land()
            made = self.stages(pipeline, [date.fromisoformat(day) for day in days])
        return {f"{each.table} {each.key}": each.content_hash for each in made.partitions}

    def push(self, *days: str) -> None:
        """Push the invoices of the periods that end on some days."""
        with self.in_home(self.home):
            pipeline = Pipeline(load_settings())
            push_days(
                pipeline.workshop,
                pipeline.control,
                pipeline.settings,
                [date.fromisoformat(day) for day in days],
            )
            pipeline.control.dispose()

    def check(self, table: str, name: str) -> tuple[bool, str, str | None]:
        """How an asset check ended last: whether it passed, how grave it is if not, and what it said."""
        from dagster import AssetCheckKey, AssetKey

        with self.in_home(self.home), open_dagster(load_settings()) as instance:
            records = instance.event_log_storage.get_asset_check_execution_history(
                AssetCheckKey(AssetKey(table), name), limit=10
            )
        ended = (each.event.asset_check_evaluation for each in records if each.event)
        last = next(found for found in ended if found)
        return last.passed, last.severity.value, last.description

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query by `billing sql`, as JSON has them."""
        printed = self.billing("sql", query, "--format", "json")
        return [tuple(json.loads(line).values()) for line in printed.splitlines() if line]

    def invoice(self, customer_id: str, period: str) -> dict[str, Any]:
        """An invoice, as `billing invoice show --json` gives it."""
        found: dict[str, Any] = json.loads(self.billing("invoice", "show", customer_id, period, "--json"))
        return found


def used(event_id: str, occurred_at: str, quantity: object, **fields: object) -> Event:
    """A usage event of acme's project p, received as it occurred unless told otherwise; its unit is `call`."""
    return {
        "type": "usage",
        "schema_version": 2,
        "source": "app",
        "id": event_id,
        "customer_id": "acme",
        "project_id": "p",
        "occurred_at": occurred_at,
        "received_at": occurred_at,
        "unit": "call",
        "quantity": quantity,
        "correlation_id": "c",
    } | fields


def corrected(correction_id: str, event_id: str, received_at: str, **fields: object) -> Event:
    """A correction of an event of the source `app`; a void unless told otherwise."""
    action = "replace" if "replacement" in fields else "adjust" if "quantity_delta" in fields else "void"
    return {
        "type": "correction",
        "schema_version": 2,
        "source": "support",
        "id": correction_id,
        "occurred_at": received_at,
        "received_at": received_at,
        "corrects": {"source": "app", "id": event_id},
        "action": action,
        "reason_code": "metering_error",
    } | fields


def rule_book(
    version: str = "first",
    effective_from: str = "2025-01-01T00:00:00Z",
    *,
    price: str = "{model: per_unit, unit_price: 1.00}",
    **close_policy: object,
) -> str:
    """A small rule book: calls, summed by tool, a dollar each on the plan `basic`."""
    policy = "".join(f"  {name}: {value}\n" for name, value in close_policy.items())
    return f"""
version: {version}
effective_from: {effective_from}
units: [call]
meters:
  calls: {{unit: call, aggregation: sum, group_by: [tool]}}
plans:
  basic:
    currency: usd
    charges:
      - {{name: calls, meter: calls, price: {price}}}
{"close_policy:" if policy else ""}
{policy}"""


def lines(invoice: Mapping[str, Any], *names: str) -> list[tuple[Any, ...]]:
    """Some fields of an invoice's lines."""
    return [tuple(line[name] for name in names) for line in invoice["lines"]]

"""What the stories share: homes of companies, the `billing` command on them, and what is compared between them.

The command runs in this process where a story is about its outcome (starting Python anew each time would cost more than
the pipeline), and in a process of its own where the story is about the process: its exit status, or its death.
"""

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from billing_pipeline.cli import billing as billing_command
from billing_pipeline.control.database import open_control
from billing_pipeline.control.partition_records import latest
from billing_pipeline.errors import BillingError
from billing_pipeline.metering.stage import StageResult
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.settings import PROJECT_ROOT, load_settings
from billing_pipeline_tests.scenarios.company import Company

DAGSTER_IN_MEMORY = PROJECT_ROOT / "billing_pipeline_tests" / "dagster_in_memory"
"""Keeps Dagster's events in memory, which takes half of the time off a small close."""

Completed = subprocess.CompletedProcess[str]
COMPARED_TABLES = ("usage_rollups", "rated_charges", "invoice_lines")
"""The tables whose content hashes are promised to be the same, however the log was worked through."""


def environment(home: Path) -> dict[str, str]:
    """What tells the command its home; nothing of the environment of whoever runs the tests gets through.

    A story with rules or customers of its own has them in a data folder beside its home.
    """
    own_data = home.parent / "data"
    return {
        "BILLING_HOME": str(home),
        "BILLING_DAGSTER": str(home / "dagster"),
        "BILLING_DATA": str(own_data if own_data.is_dir() else PROJECT_ROOT / "data"),
        "BILLING_TOML": str(home / "none.toml"),
        "BILLING_MEMORY_LIMIT_MB": "1000",
        "BILLING_THREADS": "2",
        "DAGSTER_HOME": str(home.parent),
        "STRIPE_API_KEY": "",
        "STRIPE_API_BASE": "",
        "COLUMNS": "250",
    }


@contextmanager
def _environment_of(home: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(home).items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def in_home() -> Callable[[Path], Any]:
    """The environment of a home, for as long as the block runs."""
    return _environment_of


@pytest.fixture(scope="session")
def new_home(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes a fresh home: a fresh company. Dagster keeps the events of its runs in memory, or as ever where asked."""

    def make(*, dagster_on_disk: bool = False) -> Path:
        folder = tmp_path_factory.mktemp("company")
        dagster = PROJECT_ROOT if dagster_on_disk else DAGSTER_IN_MEMORY
        shutil.copy(dagster / "dagster.yaml", folder)
        return folder / "home"

    return make


@pytest.fixture
def home(new_home: Callable[..., Path]) -> Path:
    """A fresh home for one test."""
    return new_home()


@pytest.fixture(scope="session")
def billing() -> Callable[..., str]:
    """Runs the command on a home, in this process; what it printed. An error of its is raised."""

    def run(home: Path, *arguments: object) -> str:
        with _environment_of(home):
            result = CliRunner().invoke(
                billing_command, [str(argument) for argument in arguments], catch_exceptions=False
            )
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


@pytest.fixture(scope="session")
def refused(billing: Callable[..., str]) -> Callable[..., str]:
    """Runs the command on a home, in this process, and gives the error that it must end with."""

    def run(home: Path, *arguments: object) -> str:
        with pytest.raises(BillingError) as caught:
            billing(home, *arguments)
        return str(caught.value)

    return run


@pytest.fixture(scope="session")
def new_company(
    new_home: Callable[..., Path],
    billing: Callable[..., str],
    refused: Callable[..., str],
    in_home: Callable[[Path], Any],
    close: Callable[[Pipeline, Sequence[date]], StageResult],
) -> Callable[..., Company]:
    """Makes a company for a story that has rules, customers or months of its own; arguments as for a home."""
    with _environment_of(new_home()):
        # Dagster's partitions know the rule versions of when they were imported: the project's, for every story.
        importlib.import_module("billing_pipeline.defs.partitions")
    return lambda **asked: Company(new_home(**asked), billing, refused, in_home, close)


@pytest.fixture(scope="session")
def process() -> Callable[..., Completed]:
    """Runs Python with some arguments in a process of its own, on a home; `-m billing` style comes from the caller."""

    def run(home: Path, *arguments: object, changed: Mapping[str, str] | None = None) -> Completed:
        return subprocess.run(
            [sys.executable, *(str(argument) for argument in arguments)],
            env={**os.environ, **environment(home), **(changed or {})},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def billing_main(
    in_process: Callable[[Sequence[object], Mapping[str, str]], Completed],
) -> Callable[..., Completed]:
    """Runs the command on a home, in this process, with its exit status and output; `changed` variables on top."""

    def run(home: Path, *arguments: object, changed: Mapping[str, str] | None = None) -> Completed:
        return in_process(arguments, {**environment(home), **(changed or {})})

    return run


@pytest.fixture(scope="session")
def sql(billing: Callable[..., str]) -> Callable[[Path, str], list[dict[str, Any]]]:
    """The rows of a query by `billing sql --format json`."""

    def run(home: Path, query: str) -> list[dict[str, Any]]:
        return [
            json.loads(line) for line in billing(home, "sql", query, "--format", "json").splitlines() if line
        ]

    return run


@pytest.fixture(scope="session")
def hashes(in_home: Callable[[Path], Any]) -> Callable[..., dict[str, str]]:
    """The content hash of every partition of some tables as it was last made, by table and partition key."""

    def read(home: Path, tables: Sequence[str] = COMPARED_TABLES) -> dict[str, str]:
        with in_home(home):
            control = open_control(load_settings().control_url)
        found = {
            f"{table} {key}": record.content_hash
            for table in tables
            for key, record in latest(control, table).items()
        }
        control.dispose()
        return found

    return read


@pytest.fixture(scope="session")
def stripe_invoices(in_home: Callable[[Path], Any]) -> Callable[[Path], list[dict[str, Any]]]:
    """Every invoice that a home's Stripe simulator holds, read through the SDK, with its customer's id at our side."""

    def read(home: Path) -> list[dict[str, Any]]:
        import stripe

        from billing_pipeline.invoicing.simulator.server import running_simulator
        from billing_pipeline.invoicing.stripe.connection import SIMULATOR_KEY

        with in_home(home):
            path = load_settings().simulator_path
        with running_simulator(path) as address:
            client = stripe.StripeClient(SIMULATOR_KEY, base_addresses={"api": address})
            customers = client.v1.customers.list({"limit": 100}).auto_paging_iter()
            names = {
                each.id: (each.metadata or {"billing_customer_id": ""})["billing_customer_id"]
                for each in customers
            }
            return [
                {
                    "id": each.id,
                    "customer_id": names[str(each.customer)],
                    "status": each.status,
                    "total": each.total,
                    "currency": each.currency,
                }
                for each in client.v1.invoices.list({"limit": 100}).auto_paging_iter()
            ]

    return read


@pytest.fixture(scope="session")
def demo_home(new_home: Callable[[], Path], billing: Callable[..., str]) -> tuple[Path, str]:
    """The simulated company's month, closed once for all stories about it, and what `billing demo` printed.

    Whoever changes it makes an own home instead.
    """
    home = new_home()
    return home, billing(home, "demo")

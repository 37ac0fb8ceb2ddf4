"""A small closed company for the stories about Dagster, and the environment that points to it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from billing_pipeline.cli import billing
from billing_pipeline.settings import PROJECT_ROOT, load_settings
from billing_pipeline.terminal.dagster_home import open_dagster

if TYPE_CHECKING:
    from dagster import DagsterInstance

DAYS = ("2024-01-28", "2024-01-29", "2024-01-30", "2024-01-31")


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Four days of one customer, closed by `billing close`; everything in this folder runs in its environment."""
    folder = tmp_path_factory.mktemp("company")
    home = folder / "home"
    file = folder / "events.ndjson"
    file.write_text("".join(f"{event(number)}\n" for number in range(40)) + "broken\n")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "BILLING_HOME": str(home),
            "BILLING_DAGSTER": str(home / "dagster"),
            "BILLING_DATA": str(PROJECT_ROOT / "data"),
            "BILLING_TOML": str(home / "none.toml"),
            "DAGSTER_HOME": str(PROJECT_ROOT),
            "STRIPE_API_KEY": "",
            "STRIPE_API_BASE": "",
        }.items():
            patch.setenv(name, value)
        for words in (
            ["import", "--format", "ndjson", "--received-at", "occurred", "--register", str(file)],
            ["queue", "advance", "--to", "2024-02-01T01:00:00Z"],
            ["close", "--through", "2024-01-31"],
        ):
            done = CliRunner().invoke(billing, words, catch_exceptions=False)
            assert done.exit_code == 0, done.output
        yield home


@pytest.fixture
def instance(home: Path) -> Iterator["DagsterInstance"]:
    """The Dagster instance of the home, the one that the UI shows."""
    assert home.is_dir()
    with open_dagster(load_settings()) as found:
        yield found


def event(number: int) -> str:
    """The events of the four days, with redeliveries."""
    number %= 36
    return json.dumps(
        {
            "type": "usage",
            "schema_version": 2,
            "source": "app",
            "id": f"e-{number}",
            "customer_id": "acme",
            "project_id": "p",
            "occurred_at": f"{DAYS[number // 9]}T{number % 9 + 8:02}:00:00Z",
            "unit": "token",
            "quantity": 1_000_000,
            "dimensions": {"model": "atlas-large", "token_class": "output"},
            "correlation_id": "c",
        }
    )

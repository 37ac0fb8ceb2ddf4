"""`billing queue`: what an operator reads of the log and deletes of it, wherever it is kept."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from billing_pipeline_tests.ingest.queue_stores import ENGINES, SchemaStore, fresh_schema

Billing = Callable[..., Any]
IMPORT = ("import", "--format", "ndjson", "--received-at", "occurred", "--register")
RAW = "SELECT * FROM raw_usage_events ORDER BY queue_offset"


def event(name: str, occurred_at: str) -> str:
    """A usage event of acme, as a line of NDJSON."""
    return json.dumps(
        {
            "type": "usage",
            "schema_version": 2,
            "source": "app",
            "id": name,
            "customer_id": "acme",
            "project_id": "p",
            "occurred_at": occurred_at,
            "unit": "token",
            "quantity": "1000",
            "dimensions": {"model": "atlas-large", "token_class": "output"},
            "correlation_id": "c",
        }
    )


@dataclass(frozen=True)
class Company:
    """A home whose queue is kept by one engine, and how commands are run on it."""

    home: Path
    queue_url: str
    billing: Billing

    def run(self, *arguments: object) -> str:
        """The output of a command that must succeed."""
        done = self.billing(self.home, *arguments, changed={"BILLING_QUEUE_URL": self.queue_url})
        assert done.returncode == 0, done.stderr
        output: str = done.stdout
        return output

    def refused(self, *arguments: object) -> str:
        """What a command says that must fail."""
        done = self.billing(self.home, *arguments, changed={"BILLING_QUEUE_URL": self.queue_url})
        assert done.returncode == 1, done.stdout
        told: str = done.stderr
        return " ".join(told.split())

    def rows(self, query: str) -> list[dict[str, Any]]:
        """The rows of a query over the tables."""
        return [json.loads(line) for line in self.run("sql", query, "--format", "json").splitlines()]

    def status(self) -> dict[str, Any]:
        """`billing queue status --json`."""
        document: dict[str, Any] = json.loads(self.run("queue", "status", "--json"))
        return document

    def bring(self, name: str, *events: str) -> None:
        """Import events from a file; what had been imported before is landed by that."""
        file = self.home.with_name(f"{self.home.name}-{name}.ndjson")
        file.write_text("".join(f"{each}\n" for each in events))
        self.run(*IMPORT, file)


@pytest.fixture
def schema() -> Iterator[SchemaStore]:
    with fresh_schema() as made:
        yield made


@pytest.fixture(params=ENGINES)
def company(request: pytest.FixtureRequest, tmp_path: Path, billing: Billing) -> Iterator[Company]:
    if request.param == "sqlite":
        yield Company(tmp_path / "home", "", billing)
        return
    with fresh_schema() as schema:
        yield Company(tmp_path / "home", schema.url, billing)


def test_status_tells_what_is_not_landed_and_for_how_long(company: Company) -> None:
    untouched = company.status()
    assert (untouched["depth"], untouched["lag_seconds"], untouched["oldest_not_landed"]) == (0, 0.0, None)
    company.bring("first", event("e-1", "2024-01-31T12:00:00Z"), event("e-2", "2024-01-31T13:00:00Z"))
    status = company.status()
    assert (status["next_offset"], status["landed_until"], status["depth"]) == (5, 0, 5)
    # The registrations that the import made for them have the receipt time of the first event.
    assert status["oldest_not_landed"] == "2024-01-31T12:00:00.000000Z"
    assert status["watermark"] == status["last_received_at"] == "2024-01-31T13:00:00.000000Z"
    assert status["lag_seconds"] > 365 * 86_400
    company.bring("second", event("e-3", "2024-02-01T12:00:00Z"))
    status = company.status()
    assert (status["landed_until"], status["depth"], status["groups"]) == (5, 1, {"landing": 5})
    assert status["oldest_not_landed"] == "2024-02-01T12:00:00.000000Z"
    table = company.run("queue", "status")
    for told in (
        "not yet landed",
        "oldest not landed",
        "lag",
        "2024-02-01T12:00:00.000000Z",
        status["engine"],
    ):
        assert told in table


def test_status_names_the_place_without_its_password(
    schema: SchemaStore, tmp_path: Path, billing: Billing
) -> None:
    url = schema.url.replace("postgres@", "postgres:s3cret@")
    done = billing(tmp_path / "home", "queue", "status", "--json", changed={"BILLING_QUEUE_URL": url})
    assert json.loads(done.stdout)["location"] == schema.url
    doctor = billing(tmp_path / "home", "doctor", changed={"BILLING_QUEUE_URL": url})
    assert "s3cret" not in done.stdout + done.stderr + doctor.stdout + doctor.stderr


def test_the_same_history_is_landed_alike_from_either_queue(
    schema: SchemaStore, tmp_path: Path, billing: Billing
) -> None:
    """Raw rows are equal, column by column."""
    companies = (Company(tmp_path / "file", "", billing), Company(tmp_path / "server", schema.url, billing))
    landed = []
    for company in companies:
        company.bring(
            "first", *(event(f"e-{i}", f"2024-01-{i:02}T12:00:00Z") for i in range(1, 31)), "{broken"
        )
        company.bring("again", event("e-30", "2024-01-30T12:00:00Z"), event("e-30", "2024-01-30T12:00:00Z"))
        company.run("queue", "advance", "--to", "2024-02-01T01:00:00Z")
        company.bring("later", event("e-31", "2024-02-01T12:00:00Z"))
        landed.append((company.rows(RAW), company.status()["watermark"], company.status()["depth"]))
    assert landed[0] == landed[1]
    assert (len(landed[0][0]), landed[0][2]) == (36, 1)


def test_prune_deletes_what_the_lake_holds_and_the_company_goes_on(company: Company) -> None:
    for day in (1, 2, 3):
        company.bring(f"day-{day}", event(f"e-{day}", f"2024-01-0{day}T12:00:00Z"))
    before = company.rows(RAW)
    assert "1 of them not yet landed" in company.run("queue", "prune", "--keep-days", "30")
    status = company.status()
    assert (status["first_kept_offset"], status["next_offset"], status["depth"]) == (5, 6, 1)
    company.bring("day-4", event("e-4", "2024-01-04T12:00:00Z"))
    after = company.rows(RAW)
    assert after[: len(before)] == before
    assert len(after) == 6
    company.run("verify")


def test_prune_keeps_what_is_younger_than_it_was_told(company: Company) -> None:
    for day in (1, 2, 3):
        company.bring(f"day-{day}", event(f"e-{day}", f"2024-01-0{day}T12:00:00Z"))
    assert "Pruned 0 batches" in company.run("queue", "prune", "--keep-days", "36500")
    assert company.status()["first_kept_offset"] == 0


def test_prune_deletes_nothing_that_the_lake_has_lost(company: Company) -> None:
    for day in (1, 2):
        company.bring(f"day-{day}", event(f"e-{day}", f"2024-01-0{day}T12:00:00Z"))
    (lost, *_) = sorted((company.home / "lake").rglob("raw_usage_events/**/*.parquet"))
    lost.unlink()
    assert "nothing is pruned" in company.refused("queue", "prune", "--keep-days", "0")
    shutil.rmtree(company.home / "lake")
    assert "Pruned 0 batches" in company.run("queue", "prune", "--keep-days", "0")
    assert company.status()["first_kept_offset"] == 0


def test_a_lake_that_is_lost_after_pruning_is_not_landed_anew_but_said_to_be_restored(
    company: Company,
) -> None:
    for day in (1, 2, 3):
        company.bring(f"day-{day}", event(f"e-{day}", f"2024-01-0{day}T12:00:00Z"))
    company.run("queue", "prune", "--keep-days", "0")
    shutil.rmtree(company.home / "lake")
    file = company.home.with_name("more.ndjson")
    file.write_text(event("e-9", "2024-01-09T12:00:00Z"))
    told = company.refused(*IMPORT, file)
    assert "is restored from its backup, not landed anew" in told


def test_a_missing_driver_is_told_with_what_to_install(
    tmp_path: Path, billing: Billing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "billing_pipeline.ingest.postgres_queue", None)
    changed = {"BILLING_QUEUE_URL": "postgresql://postgres@127.0.0.1:1/none"}
    done = billing(tmp_path / "home", "queue", "status", changed=changed)
    assert done.returncode == 1
    assert "pip install 'billing-pipeline[postgres]'" in done.stderr

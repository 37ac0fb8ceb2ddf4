from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine

from billing_pipeline.control.database import open_control
from billing_pipeline_tests.guardrails.made_ledger import MadeLedger


@pytest.fixture
def ledger(migrated_url: str) -> Iterator[MadeLedger]:
    """A ledger of an empty control database, on either engine, by a clock that the test sets."""
    made = MadeLedger(migrated_url)
    yield made
    made.close()


@pytest.fixture
def open_ledger(migrated_url: str) -> Iterator[Callable[[], MadeLedger]]:
    """Opens ledgers of one control database, each with a writer of its own."""
    opened: list[MadeLedger] = []

    def make() -> MadeLedger:
        opened.append(MadeLedger(migrated_url))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


@pytest.fixture
def control(migrated_url: str) -> Iterator[Engine]:
    """A control database at head without a row, on either engine."""
    engine = open_control(migrated_url)
    yield engine
    engine.dispose()

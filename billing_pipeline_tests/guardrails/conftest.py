"""A control database on both kinds, migrated, with nothing in it."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from billing_pipeline.control.database import open_control


@pytest.fixture
def control(control_url: str) -> Iterator[Engine]:
    engine = open_control(control_url)
    yield engine
    engine.dispose()

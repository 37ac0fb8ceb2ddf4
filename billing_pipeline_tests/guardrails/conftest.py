"""A control database on both kinds, migrated, with nothing in it."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from billing_pipeline.control.database import open_control
from billing_pipeline_tests.control.conftest import control_url

__all__ = ["control_url"]


@pytest.fixture
def control(control_url: str) -> Iterator[Engine]:
    engine = open_control(control_url)
    yield engine
    engine.dispose()

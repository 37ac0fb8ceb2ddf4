"""A control database, on both kinds, in which the guard has left something to see."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from billing_pipeline.control.database import open_control
from billing_pipeline_tests.guardrails.review.seeds import seed


@pytest.fixture
def control(control_url: str) -> Iterator[Engine]:
    engine = open_control(control_url)
    seed(engine)
    yield engine
    engine.dispose()

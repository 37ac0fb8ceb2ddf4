from collections.abc import Iterator
from pathlib import Path

import pytest

from billing_pipeline_tests.ingest.queue_stores import (
    ENGINES,
    QueueStore,
    SchemaStore,
    fresh_schema,
    fresh_store,
)


@pytest.fixture(params=ENGINES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[QueueStore]:
    with fresh_store(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def schema() -> Iterator[SchemaStore]:
    with fresh_schema() as made:
        yield made

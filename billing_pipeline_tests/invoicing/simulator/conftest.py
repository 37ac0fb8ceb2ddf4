from collections.abc import Iterator
from pathlib import Path

import pytest

from billing_pipeline.invoicing.simulator.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A fresh one, in `simulator.sqlite` of the test's folder."""
    store = Store(tmp_path / "simulator.sqlite")
    yield store
    store.close()

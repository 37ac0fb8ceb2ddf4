"""What the tests of the client share."""

from collections.abc import Iterator

import pytest

from billing_pipeline_tests.emit.scripted_gateway import ScriptedGateway, serving


@pytest.fixture
def gateway() -> Iterator[ScriptedGateway]:
    with serving(ScriptedGateway()) as scripted:
        yield scripted

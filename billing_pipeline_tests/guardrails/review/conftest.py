"""A control database in which the guard has left something to see."""

import pytest
from sqlalchemy import Engine

from billing_pipeline_tests.guardrails.review.seeds import seed


@pytest.fixture
def control(control: Engine) -> Engine:
    seed(control)
    return control

"""The checks that prove what stands in the lake: green for what a close made, red once a file was changed."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from billing_pipeline.definitions import defs
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.schemas.tables import USAGE_ROLLUPS
from billing_pipeline.settings import load_settings

if TYPE_CHECKING:
    from dagster import DagsterInstance

DAY = date(2024, 1, 30)
KEY = dg.AssetCheckKey(dg.AssetKey(USAGE_ROLLUPS.name), "recorded_hash_reproduces")


APPEND_ONLY = dg.AssetCheckKey(dg.AssetKey("raw_usage_events"), "raw_append_only")


def evaluated(instance: "DagsterInstance", key: dg.AssetCheckKey = KEY) -> dg.AssetCheckEvaluation:
    """Run a check by hand, as from the asset's page."""
    job = defs().resolve_implicit_global_asset_job_def().get_subset(asset_check_selection={key})
    result = job.execute_in_process(instance=instance, raise_on_error=False)
    (evaluation,) = result.get_asset_check_evaluations()
    return evaluation


@pytest.mark.usefixtures("home")
def test_it_is_green_until_a_file_is_changed_behind_the_pipelines_back(instance: "DagsterInstance") -> None:
    """It blocks, and names the partition and both hashes."""
    assert evaluated(instance).passed
    pipeline = Pipeline(load_settings())
    day, other = (
        Path(pipeline.lake.files(USAGE_ROLLUPS, [each])[0].path) for each in (DAY, date(2024, 1, 29))
    )
    before = day.read_bytes()
    day.write_bytes(other.read_bytes())
    try:
        changed = evaluated(instance)
    finally:
        day.write_bytes(before)
    assert not changed.passed
    assert changed.blocking
    assert changed.severity is dg.AssetCheckSeverity.ERROR
    assert str(changed.description).startswith(
        f"usage_rollups {DAY}|2023-11-01 is recorded with content hash"
    )
    assert evaluated(instance).passed


@pytest.mark.usefixtures("home")
def test_the_raw_table_is_what_the_chain_of_landings_says(instance: "DagsterInstance") -> None:
    """A link for each landing, and as many files as they name."""
    found = evaluated(instance, APPEND_ONLY)
    assert found.passed
    assert found.metadata["landings"].value == found.metadata["snapshots"].value

"""What the steps of a run have in common: the pipeline that is opened for the first of them, and no other run's."""

from pathlib import Path

import dagster as dg
import pytest

from billing_pipeline.defs.resources import PipelineResource, resources
from billing_pipeline.pipeline import Pipeline


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Pipeline]:
    """The pipelines that two runs of two steps work with, in the order of the steps."""
    monkeypatch.setenv("BILLING_HOME", str(tmp_path / "home"))
    found: list[Pipeline] = []

    @dg.asset
    def first(pipeline: PipelineResource) -> None:
        found.append(pipeline.open())

    @dg.asset(deps=[first])
    def second(pipeline: PipelineResource) -> None:
        found.append(pipeline.open())

    definitions = dg.Definitions([first, second], resources=resources())
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(2):
            job = definitions.resolve_implicit_global_asset_job_def()
            assert job.execute_in_process(instance=instance).success
    return found


def test_the_steps_of_a_run_share_one_pipeline_and_the_next_run_opens_anew(opened: list[Pipeline]) -> None:
    """So a run is made under the rules of its beginning, and the next one sees what was changed since."""
    first, second, third, fourth = opened
    assert first is second
    assert third is fourth
    assert first is not third


def test_other_settings_are_another_pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever keeps a resource while the environment changes gets the company that it names now."""
    pipeline: PipelineResource = resources()["pipeline"]
    monkeypatch.setenv("BILLING_HOME", str(tmp_path / "one"))
    one = pipeline.open()
    assert pipeline.open() is one
    monkeypatch.setenv("BILLING_HOME", str(tmp_path / "two"))
    assert pipeline.open().settings.home == tmp_path / "two"

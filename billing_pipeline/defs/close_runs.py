"""Runs of a close: the same Dagster jobs as in the UI, headless, one after the other."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from billing_pipeline.defs.event_files import events_held_open
from billing_pipeline.defs.partitions import checked_range_tags, range_tags
from billing_pipeline.errors import CloseRunError
from billing_pipeline.schemas.table import PartitionKey

if TYPE_CHECKING:
    from dagster import DagsterInstance, JobDefinition

CLOSE_TAG = "billing/close"
Jobs = Callable[[str], "JobDefinition"]
"""Gives a job by its name."""


@dataclass(frozen=True)
class Step:
    """One run of a close: a job over a range of partitions, or a job of checks over their days."""

    job: str
    first: PartitionKey
    last: PartitionKey
    checks_only: bool = False

    @property
    def tags(self) -> dict[str, str]:
        """What tells the run its range."""
        if self.checks_only:
            return checked_range_tags(self.first.day, self.last.day)
        return range_tags(self.first, self.last)


@dataclass
class Runs:
    """Runs steps one after the other, and keeps the ids of their runs."""

    instance: "DagsterInstance"
    jobs: Jobs
    ids: list[str] = field(default_factory=list)

    def run(self, step: Step) -> None:
        """Run a step.

        Raises:
            CloseRunError: it failed; the error says why.
        """
        run_id = str(uuid.uuid4())
        with events_held_open(self.instance, run_id):
            result = self.jobs(step.job).execute_in_process(
                instance=self.instance,
                run_id=run_id,
                tags={**step.tags, CLOSE_TAG: "true"},
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                raise_on_error=False,
            )
        self.ids.append(result.run_id)
        if not result.success:
            told = [
                _failure(event)
                for event in result.all_events
                if event.is_step_failure or event.is_run_failure
            ]
            raise CloseRunError(
                step.job,
                f"{step.first} to {step.last}",
                result.run_id,
                "; ".join(dict.fromkeys(filter(None, told))),
            )


def _failure(event: object) -> str:
    data = getattr(event, "event_specific_data", None)
    error = getattr(data, "error", None)
    cause = getattr(error, "cause", None) or error
    return str(getattr(cause, "message", "") or getattr(event, "message", "")).strip()

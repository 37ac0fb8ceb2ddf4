"""The close: every partition of every day that is due, headless, in the order the pipeline needs.

What runs here are the same Dagster jobs as in the UI, so each materialization, check and log stands there too.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from billing_pipeline.contract.instants import instant_text
from billing_pipeline.control.clock import now_us
from billing_pipeline.defs.partitions import DAYS_AT_ONCE, checked_range_tags, range_tags
from billing_pipeline.errors import CloseGateError, CloseRunError
from billing_pipeline.lake.leftovers import remove_leftovers
from billing_pipeline.metering.calendar import days_between
from billing_pipeline.metering.rollups import versions_found
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.schemas.table import PartitionKey
from billing_pipeline.schemas.tables import INVOICE_LINES, RAW_USAGE_EVENTS, TABLES

if TYPE_CHECKING:
    from dagster import DagsterInstance, JobDefinition

PROCESS_TAG = "billing/process_id"
Jobs = Callable[[str], "JobDefinition"]
"""Gives a job by its name."""
Progress = Callable[[str, int, int], None]
"""Told what runs now, how many steps are done, and of how many."""


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


@dataclass(frozen=True)
class Closed:
    """What a close did: the days it closed, and the runs it took."""

    days: tuple[date, ...]
    run_ids: tuple[str, ...]


def close_through(
    pipeline: Pipeline,
    instance: "DagsterInstance",
    jobs: Jobs,
    through: date,
    progress: Progress | None = None,
) -> Closed:
    """Close every day up to and including one that is not closed yet.

    Raises:
        CloseGateError: records of the day may still come, so it cannot be closed.
        CloseRunError: a run failed; what it says is to be mended, and closing again goes on from there.
    """
    told = progress or (lambda _what, _done, _of: None)
    pipeline.use_rules()
    told("landing", 0, 1)
    with pipeline.queue() as queue:
        watermark = queue.clock()
        pipeline.lander(queue).land()
    due = days_due(pipeline, through)
    if not due:
        return Closed((), ())
    refuse_open(pipeline, through, watermark)
    report_dead_runs(instance)
    runs: list[str] = []
    done = 0
    of = 3 * -(-len(due) // DAYS_AT_ONCE)
    for stretch in _stretches(due):
        first, last = PartitionKey(stretch[0]), PartitionKey(stretch[-1])
        told(f"records of {first} to {last}", done, of)
        runs.append(_run(instance, jobs, Step("records_of_day", first, last)))
        told(f"rollups of {first} to {last}", done + 1, of)
        runs += [
            _run(instance, jobs, step) for step in rollup_steps(versions_found(pipeline.workshop, stretch))
        ]
        runs.append(_run(instance, jobs, Step("rollups_complete", first, last, checks_only=True)))
        told(f"invoices of {first} to {last}", done + 2, of)
        runs.append(_run(instance, jobs, Step("invoices_of_day", first, last)))
        done += 3
        told(f"closed {first} to {last}", done, of)
    remove_leftovers(pipeline.lake, TABLES, pipeline.engine.scratch, now_us() // 1_000_000)
    return Closed(tuple(due), tuple(runs))


def days_due(pipeline: Pipeline, through: date) -> list[date]:
    """The days from the first landed one that have not been closed, in order."""
    landed = pipeline.lake.files(RAW_USAGE_EVENTS)
    if not landed:
        return []
    closed = set(pipeline.closed_days(INVOICE_LINES.name))
    first = min(file.key.day for file in landed)
    return [day for day in days_between(first, through) if day not in closed]


def refuse_open(pipeline: Pipeline, through: date, watermark: int) -> None:
    """The close gate: without proof that all records of a day have come, there is no close.

    Raises:
        CloseGateError: names the instant that is missing, and the command that supplies it.
    """
    closes_at = pipeline.calendar.close(through)
    if watermark < closes_at:
        raise CloseGateError(
            f"{through} cannot be closed: records received before {instant_text(closes_at)} may still come, "
            f"the queue's clock stands at {instant_text(watermark)}. If nothing earlier will be imported, move it on "
            f"with `billing queue advance --to {instant_text(closes_at)}` and close again"
        )


def rollup_steps(keys: Sequence[PartitionKey]) -> list[Step]:
    """One run per rule version and contiguous range of days, exactly over the partitions found."""
    steps: list[Step] = []
    for version in sorted({key.rule_version for key in keys if key.rule_version is not None}):
        days = sorted(key.day for key in keys if key.rule_version == version)
        steps += [
            Step("rollups_of_day", PartitionKey(stretch[0], version), PartitionKey(stretch[-1], version))
            for stretch in _stretches(days)
        ]
    return steps


def report_dead_runs(instance: "DagsterInstance") -> None:
    """Report runs of a close whose process is gone as failed; they would look as if they still ran."""
    from dagster import DagsterRunStatus, RunsFilter

    running = RunsFilter(statuses=[DagsterRunStatus.STARTED, DagsterRunStatus.STARTING])
    for run in instance.get_runs(filters=running):
        process = run.tags.get(PROCESS_TAG)
        if process is not None and process != str(os.getpid()) and not _is_alive(int(process)):
            instance.report_run_failed(run, f"its process {process} ended without a word; close again")


def _is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _stretches(days: Sequence[date]) -> Iterator[list[date]]:
    """Contiguous ranges of at most `DAYS_AT_ONCE` days."""
    stretch: list[date] = []
    for day in days:
        if stretch and (day != stretch[-1] + timedelta(days=1) or len(stretch) == DAYS_AT_ONCE):
            yield stretch
            stretch = []
        stretch.append(day)
    if stretch:
        yield stretch


def _run(instance: "DagsterInstance", jobs: Jobs, step: Step) -> str:
    result = jobs(step.job).execute_in_process(
        instance=instance,
        tags={**step.tags, PROCESS_TAG: str(os.getpid())},
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        raise_on_error=False,
    )
    if not result.success:
        told = [
            _failure(event) for event in result.all_events if event.is_step_failure or event.is_run_failure
        ]
        raise CloseRunError(
            step.job, f"{step.first} to {step.last}", result.run_id, "; ".join(filter(None, told))
        )
    return result.run_id


def _failure(event: object) -> str:
    data = getattr(event, "event_specific_data", None)
    error = getattr(data, "error", None)
    cause = getattr(error, "cause", None) or error
    return str(getattr(cause, "message", "") or getattr(event, "message", "")).strip()

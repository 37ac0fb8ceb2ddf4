"""The close: every partition of every day that is due, headless, in the order the pipeline needs.

What runs here are the same Dagster jobs as in the UI, so each materialization, check and log stands there too.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from billing_pipeline.audit.guard_day import held_days
from billing_pipeline.contract.instants import instant_text
from billing_pipeline.control.clock import now_us
from billing_pipeline.control.partition_records import CLOSED_DAYS, last_records, latest
from billing_pipeline.defs.close_runs import CLOSE_TAG, Jobs, Runs, Step
from billing_pipeline.defs.partitions import DAYS_AT_ONCE
from billing_pipeline.defs.period_closing import close_periods, days_to_push
from billing_pipeline.defs.restating import days_to_restate
from billing_pipeline.errors import CloseGateError, CloseRunError
from billing_pipeline.invoicing.meter_events.meter_run import planned_partitions
from billing_pipeline.invoicing.meter_events.meter_stage import anything_metered
from billing_pipeline.lake.leftovers import remove_leftovers
from billing_pipeline.metering.calendar import days_between
from billing_pipeline.metering.rollups import versions_found
from billing_pipeline.metering.stage import Partition, StageResult
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.schemas.table import PartitionKey
from billing_pipeline.schemas.tables import INVOICE_LINES, RAW_USAGE_EVENTS, TABLES, USAGE_ROLLUPS

if TYPE_CHECKING:
    from dagster import DagsterInstance

CLOSE_LOCK_TIMEOUT_SECONDS = 5
Progress = Callable[[str, int, int], None]
"""Told what runs now, how many steps are done, and of how many."""


@dataclass(frozen=True)
class Closed:
    """What a close did.

    Attributes:
        days: the days it closed.
        run_ids: the runs it took.
        without_report: why days have no anomaly report, if so.
        without_meter_events: why meter events have not all reached Stripe, if so; the next close sends them.
        waiting: days on which periods ended whose invoices have not all gone out, failed ones or held ones.
        not_pushed: why invoices of ended periods did not get to Stripe, if so; closing again goes on with them.
    """

    days: tuple[date, ...]
    run_ids: tuple[str, ...]
    without_report: tuple[str, ...] = ()
    without_meter_events: tuple[str, ...] = ()
    waiting: tuple[date, ...] = ()
    not_pushed: tuple[str, ...] = ()


def close_through(
    pipeline: Pipeline,
    instance: "DagsterInstance",
    jobs: Jobs,
    through: date,
    progress: Progress | None = None,
    *,
    periods: bool = True,
) -> Closed:
    """Close every day up to and including one that is not closed yet, then the invoice periods that have ended.

    Without `periods` the invoices of ended periods are left to the period close. Where they do not get to Stripe,
    the days are closed all the same.

    Raises:
        CloseGateError: records of the day may still come, so it cannot be closed.
        CloseRunError: a run failed; what it says is to be mended, and closing again goes on from there.
    """
    told = progress or (lambda _what, _done, _of: None)
    with one_close_at_a_time(pipeline.settings.home):
        report_dead_runs(instance)
        runs = Runs(instance, jobs)
        closed = _close(pipeline, runs, through, told)
        if not periods:
            return closed
        not_pushed = close_periods(pipeline, runs, through, told)
        waiting = tuple(day for day in days_to_push(pipeline) if day <= through)
        return replace(closed, run_ids=tuple(runs.ids), waiting=waiting, not_pushed=tuple(not_pushed))


def _close(pipeline: Pipeline, runs: "Runs", through: date, told: Progress) -> Closed:
    told("landing", 0, 1)
    with pipeline.queue() as queue:
        watermark = queue.clock()
        pipeline.use_rules(watermark)
        pipeline.lander(queue).land()
    due, without_report, unsent = days_due(pipeline, through), list[str](), list[str]()
    if not due:
        return Closed((), ())
    refuse_open(pipeline, through, watermark)
    done, made = 0, max(last_records(pipeline.control, USAGE_ROLLUPS.name).values(), default=0)
    of = 3 * -(-len(due) // DAYS_AT_ONCE)
    for stretch in stretches(due):
        first, last = PartitionKey(stretch[0]), PartitionKey(stretch[-1])
        told(f"records of {first} to {last}", done, of)
        runs.run(Step("records_of_day", first, last))
        told(f"rollups of {first} to {last}", done + 1, of)
        for step in rollup_steps(versions_found(pipeline.workshop, stretch)):
            runs.run(step)
        runs.run(Step("rollups_complete", first, last, checks_only=True))
        restate, made = days_to_restate(pipeline, made)
        # A hold may be settled on the day after: what is known of the day before is made anew.
        held = held_days(pipeline.control, stretch[0] - timedelta(days=1), stretch[-1])
        for part in stretches(sorted({*restate, *held})):
            runs.run(Step("restate_usage_days", PartitionKey(part[0]), PartitionKey(part[-1])))
        without_report += _report_anomalies(runs, Step("anomalies_of_day", first, last))
        unsent += _send_meter_events(pipeline, runs, stretch, watermark)
        told(f"invoices of {first} to {last}", done + 2, of)
        runs.run(Step("invoices_of_day", first, last))
        _record_closed(pipeline, stretch, watermark, runs.ids[-1])
        done += 3
        told(f"closed {first} to {last}", done, of)
    remove_leftovers(pipeline.lake, TABLES, pipeline.engine.scratch, now_us() // 1_000_000)
    return Closed(tuple(due), tuple(runs.ids), tuple(without_report), tuple(unsent))


def _record_closed(pipeline: Pipeline, days: Sequence[date], watermark: int, run_id: str) -> None:
    """The last thing of a day's close: that all of it was made, with the invoice lines it came to."""
    lines, snapshot = latest(pipeline.control, INVOICE_LINES.name), pipeline.lake.snapshot(INVOICE_LINES)
    partitions = tuple(
        Partition(CLOSED_DAYS, key, found.row_count, found.content_hash)
        for key in map(PartitionKey, days)
        if (found := lines.get(str(key))) is not None
    )
    result = StageResult(partitions, {INVOICE_LINES.name: snapshot}, {CLOSED_DAYS: snapshot})
    pipeline.record(result, watermark=watermark, run_id=run_id)


def _report_anomalies(runs: "Runs", step: Step) -> list[str]:
    """The report decides no amount: where it fails, that is told, and the close goes on."""
    try:
        runs.run(step)
    except CloseRunError as error:
        return [str(error)]
    return []


def _send_meter_events(
    pipeline: Pipeline, runs: "Runs", stretch: Sequence[date], watermark: int
) -> list[str]:
    """Where no plan delivers meter events, it is kept that the days had none, and nothing runs.

    What does not reach Stripe stays planned: the close goes on, and the next one sends it.
    """
    if not anything_metered(pipeline.control, pipeline.invoicing_policies, stretch):
        nothing = planned_partitions(pipeline.workshop, dict.fromkeys(stretch, ()))
        pipeline.record(nothing, watermark=watermark, run_id="close")
        return []
    try:
        runs.run(Step("meter_events_of_day", PartitionKey(stretch[0]), PartitionKey(stretch[-1])))
    except CloseRunError as error:
        return [str(error)]
    return []


def days_due(pipeline: Pipeline, through: date) -> list[date]:
    """The days from the first landed one that have not been closed, in order."""
    landed = pipeline.lake.files(RAW_USAGE_EVENTS)
    if not landed:
        return []
    closed = set(pipeline.closed_days(CLOSED_DAYS))
    first = min(file.key.day for file in landed)
    return [day for day in days_between(first, through) if day not in closed]


def refuse_days_open(pipeline: Pipeline, ends: Sequence[date]) -> None:
    """The first gate of a period close: every day of the periods that have ended is closed.

    Raises:
        CloseGateError: names the first day that is not, and the command that closes it.
    """
    due = days_due(pipeline, max(ends)) if ends else []
    if due:
        raise CloseGateError(
            f"{due[0]} is not closed, so the periods that end by {max(ends)} cannot be; close the days first with "
            f"`billing close --through {max(ends)}`"
        )


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
            for stretch in stretches(days)
        ]
    return steps


@contextmanager
def one_close_at_a_time(home: Path) -> Iterator[None]:
    """Hold the close of a home for as long as the block runs; it is given back when the process ends, however.

    Raises:
        CloseGateError: another process closes this home now.
    """
    from filelock import FileLock, Timeout

    path = home / "close.lock"
    home.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path, timeout=CLOSE_LOCK_TIMEOUT_SECONDS):
            yield
    except Timeout as error:
        raise CloseGateError(
            f"another process is closing {home} (lock file {path}); wait for it to end, then close again"
        ) from error


def report_dead_runs(instance: "DagsterInstance") -> None:
    """Report runs of earlier closes that never ended as failed; they would look as if they still ran.

    The caller holds the close of this home, so no run of a close can be under way.
    """
    from dagster import DagsterRunStatus, RunsFilter

    unfinished = [DagsterRunStatus.STARTED, DagsterRunStatus.STARTING, DagsterRunStatus.NOT_STARTED]
    for run in instance.get_runs(filters=RunsFilter(tags={CLOSE_TAG: "true"}, statuses=unfinished)):
        instance.report_run_failed(run, "the process of this close ended without a word; close again")


def stretches(days: Sequence[date]) -> Iterator[list[date]]:
    """Contiguous ranges of at most `DAYS_AT_ONCE` days."""
    stretch: list[date] = []
    for day in days:
        if stretch and (day != stretch[-1] + timedelta(days=1) or len(stretch) == DAYS_AT_ONCE):
            yield stretch
            stretch = []
        stretch.append(day)
    if stretch:
        yield stretch

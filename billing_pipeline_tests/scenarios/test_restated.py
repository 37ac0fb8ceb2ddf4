"""Restated: beside what was billed day by day stands what each usage day comes to as known now.

For a usage day it is what was posted on the day itself and whatever was posted for it later. A late event or a
correction restates just the days it touches, whoever makes the rollups: a close does it itself, and after a run by hand
the sensor asks for these days and for no others, once. (Along the way: a conflict that is only reported is amber.)
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import pytest

from billing_pipeline.control.database import open_control
from billing_pipeline.control.partition_records import last_records
from billing_pipeline.definitions import defs
from billing_pipeline.defs import triggers
from billing_pipeline.defs.partitions import days_in_tags
from billing_pipeline.defs.resources import resources
from billing_pipeline.settings import load_settings
from billing_pipeline.terminal.dagster_home import open_dagster
from billing_pipeline_tests.scenarios.company import Company, corrected, used

AS_BILLED = (
    "SELECT CAST(usage_day AS VARCHAR), CAST(sum(quantity) AS INTEGER), CAST(sum(event_count) AS INTEGER) "
    "FROM {} GROUP BY 1 ORDER BY 1"
)
VERSION = "2023-11-01"


class Restated(NamedTuple):
    """A company that closed days 1 to 3 and then the 4th; by usage day the record of its restating after each."""

    company: Company
    first: dict[str, int]
    second: dict[str, int]


@pytest.fixture(scope="module")
def restated(new_company: Callable[..., Company], in_home: Callable[[Path], Any]) -> Restated:
    """On the 4th come late usage of the 1st, a correction of the 2nd, and of the 3rd what does not bill: a conflict."""

    def records() -> dict[str, int]:
        with in_home(company.home):
            control = open_control(load_settings().control_url)
            found = last_records(control, "restated_rollups")
            control.dispose()
            return found

    company = new_company(dagster_on_disk=True)
    noon = "2025-02-0{}T12:00:00Z".format
    company.receive(*(used(f"on-{day}", noon(day), 10 * day) for day in (1, 2, 3)), register_on="standard")
    company.billing("queue", "advance", "--to", "2025-02-04T01:00:00Z")
    company.billing("close", "--through", "2025-02-03")
    first = records()
    company.receive(
        used("late", noon(1), 1, received_at=noon(4)),
        used("on-4", noon(4), 40),
        used("on-3", noon(3), 31, received_at=noon(4)),
        corrected("less", "on-2", noon(4), quantity_delta="-5"),
    )
    company.billing("queue", "advance", "--to", "2025-02-05T01:00:00Z")
    company.billing("close", "--through", "2025-02-04")
    return Restated(company, first, records())


def test_restated_is_as_billed_with_all_adjustments(restated: Restated) -> None:
    """10 and the late 1, 20 less 5, 30, 40: by usage day the same sums as of all rollups, posted whenever."""
    expected = [("2025-02-01", 11, 2), ("2025-02-02", 15, 1), ("2025-02-03", 30, 1), ("2025-02-04", 40, 1)]
    assert restated.company.sql(AS_BILLED.format("restated_rollups")) == expected
    assert restated.company.sql(AS_BILLED.format("usage_rollups")) == expected
    posted = (
        "SELECT CAST(posting_day AS VARCHAR), CAST(sum(quantity) AS INTEGER) FROM usage_rollups GROUP BY 1"
    )
    assert sorted(restated.company.sql(posted)) == [
        ("2025-02-01", 10),
        ("2025-02-02", 20),
        ("2025-02-03", 30),
        ("2025-02-04", 1 + 40 - 5),
    ]


def test_a_close_restates_just_the_usage_days_that_it_touches(restated: Restated) -> None:
    """The 1st for the late event, the 2nd for the correction, the 4th for itself; the 3rd is left as it was."""
    assert set(restated.first) == {"2025-02-01", "2025-02-02", "2025-02-03"}
    made_again = {day for day, record in restated.second.items() if record != restated.first.get(day)}
    assert made_again == {"2025-02-01", "2025-02-02", "2025-02-04"}


def test_a_conflict_that_is_only_reported_makes_its_check_amber(restated: Restated) -> None:
    """The run went on and the day is closed; which two records differ is said."""
    passed, severity, said = restated.company.check("duplicate_usage_events", "no_conflicts")
    assert (passed, severity) == (False, "WARN")
    assert said is not None
    assert said.startswith("2025-02-04: app on-3: offset")


@pytest.fixture
def instance(restated: Restated, in_home: Callable[[Path], Any]) -> Iterator[dg.DagsterInstance]:
    """The Dagster instance of the company, in whose environment the test runs."""
    with in_home(restated.company.home), open_dagster(load_settings()) as found:
        yield found


def test_the_sensor_asks_for_just_the_days_that_rollups_made_by_hand_touch(
    instance: dg.DagsterInstance,
) -> None:
    """After the close there is nothing to do; the rollups of the 4th made again touch the 1st and 2nd, and the 4th."""
    asked, cursor = _tick(instance, None)
    assert asked == []
    job = defs().resolve_job_def("rollups_of_day")
    assert job.execute_in_process(instance=instance, partition_key=f"2025-02-04|{VERSION}").success
    asked, cursor = _tick(instance, cursor)
    assert asked == [["2025-02-01", "2025-02-02"], ["2025-02-04"]]
    asked, _ = _tick(instance, cursor)
    assert asked == []


def _tick(instance: dg.DagsterInstance, cursor: str | None) -> tuple[list[list[str]], str | None]:
    """The ranges of usage days that a tick of the sensor asks for, and where the next one goes on."""
    with dg.build_sensor_context(
        instance=instance, resources=resources(), definitions=defs(), cursor=cursor
    ) as context:
        data = triggers.restating_sensor.evaluate_tick(context)
    asked = [[day.isoformat() for day in days_in_tags(each.tags)] for each in data.run_requests or ()]
    return asked, data.cursor

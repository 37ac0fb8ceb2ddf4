"""Whatever is killed, an event that was acknowledged is billed, and once."""

import re
from collections.abc import Callable
from datetime import date

import pytest

from billing_pipeline.metering.control_records import separate_registry_changes
from billing_pipeline.metering.identity import identify
from billing_pipeline.metering.validation import validate
from billing_pipeline.pipeline import Pipeline
from billing_pipeline.settings import load_settings
from billing_pipeline_tests.scenarios.company import Company, rule_book
from billing_pipeline_tests.scenarios.conftest import environment
from billing_pipeline_tests.scenarios.gateway_under_fire import Fire

NewCompany = Callable[..., Company]
KILLS = 8
TORTURE_KILLS = 200


@pytest.mark.parametrize(
    "kills", [KILLS, pytest.param(TORTURE_KILLS, marks=[pytest.mark.torture, pytest.mark.timeout(1800)])]
)
def test_gateway_and_lander_are_killed_under_load_and_no_acknowledged_event_is_lost(
    new_company: NewCompany, kills: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sent, acknowledged, acknowledged but lost, and what is there twice after dedup."""
    company = new_company()
    company.write_customers({"id": "acme", "plan": "basic"})
    company.write_rules(first=rule_book())
    key = re.search(r"bk_\S+", company.billing("keys", "create", "--name", "producer"))
    assert key is not None
    with Fire(environment(company.home), key[0]) as fire:
        for _ in range(kills):
            fire.kill_one(longest_seconds=0.5)
        fire.finish()

    landed, counted = outcome(company)
    fate = fire.fate
    lost = fate.acknowledged - set(counted)
    with capsys.disabled():
        print(  # noqa: T201 - the figures are the point
            f"\n{kills} kills: sent {len(fate.sent)}, acknowledged {len(fate.acknowledged)}, "
            f"acknowledged but lost {len(lost)}, batches sent again {fate.resent_batches}, "
            f"in the log {landed}, after dedup {len(counted)}, duplicates {len(counted) - len(set(counted))}"
        )
    assert lost == set()
    assert len(counted) == len(set(counted))
    assert set(counted) == fate.sent
    assert len(fate.sent) > kills
    assert set(fate.refusals) <= {503}


def outcome(company: Company) -> tuple[int, list[str]]:
    """Land what is left and find out which events count: records in the log, and the ids that came through dedup."""
    with company.in_home(company.home):
        pipeline = Pipeline(load_settings())
        with pipeline.queue() as queue:
            pipeline.lander(queue).land()
            total = queue.next_offset()
    days = sorted(
        {
            date.fromisoformat(day)
            for (day,) in company.sql("SELECT DISTINCT receipt_day FROM raw_usage_events")
        }
    )
    with company.in_home(company.home):
        workshop = Pipeline(load_settings()).workshop
        separate_registry_changes(workshop, days)
        validate(workshop, days)
        identify(workshop, days)
    return total, [event_id for (event_id,) in company.sql("SELECT id FROM unique_usage_events")]

"""A burst is slowed down and never dropped: what was acknowledged is there, what was not was told so."""

import re
from collections import Counter
from collections.abc import Callable

import pytest

from billing_pipeline.pipeline import Pipeline
from billing_pipeline.settings import load_settings
from billing_pipeline_tests.scenarios.burst import BATCH_EVENTS, Told, burst
from billing_pipeline_tests.scenarios.company import Company, rule_book
from billing_pipeline_tests.scenarios.conftest import environment

NewCompany = Callable[..., Company]
MOST_MB = 450
"""The interpreter with its modules, the gateway's 64 MB of bodies and lines, the queue's, and room to work."""
TIMES = 10
REFUSALS = {429, 503}


def test_a_burst_is_refused_or_kept(new_company: NewCompany, capsys: pytest.CaptureFixture[str]) -> None:
    """In a few seconds, as long as a commit takes two of them."""
    told = hold(new_company(), capsys, seconds=4, commit_seconds=2)
    assert told.statuses.keys() & REFUSALS


@pytest.mark.torture
def test_a_burst_of_ten_times_the_capacity_for_half_a_minute_is_refused_or_kept(
    new_company: NewCompany, capsys: pytest.CaptureFixture[str]
) -> None:
    """At ten times of what can be taken."""
    told = hold(new_company(), capsys, seconds=30, commit_seconds=5)
    assert told.offered_per_acknowledged >= TIMES


def hold(
    company: Company, capsys: pytest.CaptureFixture[str], *, seconds: float, commit_seconds: float
) -> Told:
    """Send a burst, of which a quarter comes with a key of limited rate; everything acknowledged is in the queue."""
    company.write_rules(first=rule_book())
    company.write_customers({"id": "acme", "plan": "basic"})
    keys = [key_of(company, name) for name in ("one", "two", "three")]
    keys.append(key_of(company, "limited", "--events-per-second", "4000"))
    home = environment(company.home) | {"BILLING_GATEWAY_BUFFER_MB": "64"}
    told = burst(home, keys, seconds=seconds, commit_seconds=commit_seconds)

    kept = events_kept(company)
    lost = [token for token in told.acknowledged if kept[token] != BATCH_EVENTS]
    with capsys.disabled():
        print(  # noqa: T201 - the figures are the point
            f"\nburst of {told.seconds:.0f} s: {told.offered_per_acknowledged:.1f} times what was taken, "
            f"{len(told.acknowledged) * BATCH_EVENTS} events acknowledged, acknowledged but lost "
            f"{len(lost) * BATCH_EVENTS}, answers {dict(told.statuses)}, without one {dict(told.broken)}, "
            f"peak memory {told.peak_mb:.0f} MB"
        )
    assert lost == []
    assert told.acknowledged
    assert set(told.statuses) <= REFUSALS | {202}
    assert not told.broken
    assert told.peak_mb < MOST_MB
    return told


def key_of(company: Company, name: str, *options: str) -> str:
    """A new API key."""
    found = re.search(r"bk_\S+", company.billing("keys", "create", "--name", name, *options))
    assert found is not None
    return found[0]


def events_kept(company: Company) -> Counter[str]:
    """How many events of each batch are in the queue."""
    kept: Counter[str] = Counter()
    with company.in_home(company.home), Pipeline(load_settings()).queue() as queue:
        place = 0
        while batches := queue.read_from(place, 100_000):
            for batch in batches:
                kept.update(found.decode() for found in re.findall(rb'"id":"([0-9-]+)/', batch.body))
            place = batches[-1].next_offset
    return kept

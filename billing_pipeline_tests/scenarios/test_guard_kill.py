"""A kill switch holds from the next reserve on, whatever process asks: nothing is admitted once it was acknowledged."""

import pytest

from billing_pipeline.audit.guard_invariants import guard_faults
from billing_pipeline.control.database import open_control
from billing_pipeline_tests.scenarios.guard_flips import (
    PROCESSES,
    SCOPES,
    TERMS,
    THREADS,
    Clients,
)
from billing_pipeline_tests.scenarios.guard_replay import replay
from billing_pipeline_tests.scenarios.guard_terms import open_writer

FLIPS, TORTURE_FLIPS = 6, 300
NS_PER_MS = 1_000_000


def check(url: str, count: int) -> str:
    """Flip so many times under load; the figures."""
    with open_writer(url, TERMS) as writer, Clients(url) as clients:
        flips = [clients.flip(writer, SCOPES[number % len(SCOPES)]) for number in range(count)]
    admitted = 0
    to_acknowledgement, to_denial = [], []
    for flip in flips:
        stopped = [asked for asked in clients.asked if flip.stops(asked)]
        admitted += sum(
            answer == "granted" and flip.acknowledged < handed_in and answered < flip.lifted
            for handed_in, answered, _, _, _, answer in stopped
        )
        denials = [
            answered
            for _, answered, _, _, _, answer in stopped
            if answer == "killed" and flip.called < answered < flip.lifted
        ]
        to_denial.append(min(denials) - flip.called)
        to_acknowledgement.append(flip.acknowledged - flip.called)
    engine = open_control(url)
    replayed = replay(engine, lambda _: TERMS.for_all)
    faults = guard_faults(engine)
    engine.dispose()
    figures = (
        f"{PROCESSES} processes of {THREADS} clients, {len(clients.asked)} reserves, {count} flips: admitted after the "
        f"acknowledgement {admitted}, after the flip by the journal {replayed.after_stop}; from the call to the first "
        f"denial {percentiles(to_denial)}, to the acknowledgement {percentiles(to_acknowledgement)}"
    )
    print(figures)  # noqa: T201 - the figures are the point
    assert (admitted, replayed.after_stop) == (0, 0)
    assert faults == []
    return figures


def percentiles(durations_ns: list[int]) -> str:
    """The median, the 99th percentile and the largest."""
    ordered = sorted(durations_ns)
    p50, p99 = (ordered[min(len(ordered) * part // 100, len(ordered) - 1)] for part in (50, 99))
    return f"p50 {p50 // NS_PER_MS} ms, p99 {p99 // NS_PER_MS} ms, most {ordered[-1] // NS_PER_MS} ms"


def test_nothing_is_admitted_once_a_kill_switch_was_acknowledged(migrated_url: str) -> None:
    """Sessions, projects and customers in turn, under 64 clients in two processes."""
    check(migrated_url, FLIPS)


@pytest.mark.torture
def test_nothing_is_admitted_once_any_of_many_kill_switches_was_acknowledged(
    migrated_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = check(migrated_url, TORTURE_FLIPS)
    with capsys.disabled():
        print(f"\n{figures}")  # noqa: T201 - as above

"""The detector on weeks of made-up customers and on the real agent trace. `make torture` takes ten times as many."""

from random import Random

import pytest

from billing_pipeline_tests.guardrails.velocity.agents import AGENT_TRACE, DAYS, TRACES, agent_calls
from billing_pipeline_tests.guardrails.velocity.scoring import Scores, play_agents, play_week
from billing_pipeline_tests.guardrails.velocity.shapes import SHAPES

needs_trace = pytest.mark.skipif(
    not AGENT_TRACE.is_file(),
    reason=f"the agent trace is not at {TRACES}; set BILLING_TRACES to its folder",
)


@pytest.mark.parametrize(
    "customers", [1, pytest.param(10, marks=[pytest.mark.torture, pytest.mark.timeout(3600)])]
)
def test_runaways_of_ten_times_are_paused_and_nothing_else(customers: int) -> None:
    """Of runaways of ten times or more nearly all are paused within minutes, and hardly anything else is."""
    scores = Scores()
    for shape in SHAPES:
        for seed in range(customers):
            scores.add(*play_week(shape(Random(seed)), seed), weeks=1)
    strong = scores.from_strength(10)
    assert scores.precision >= 0.95
    assert scores.false_pauses / scores.weeks <= 0.1
    assert strong.recall >= 0.95
    assert strong.time_to_pause(50) <= 60
    assert strong.time_to_pause(90) <= 180


@needs_trace
@pytest.mark.parametrize("customers", [5, pytest.param(20, marks=pytest.mark.torture)])
def test_the_agents_of_the_trace_are_let_work(customers: int) -> None:
    """Two weeks of real agent sessions, with nothing put in, pause at most once in eight customer weeks."""
    weeks, pauses = 0.0, 0
    for seed, calls in enumerate(list(agent_calls(20).values())[:customers]):
        played, _ = play_agents(calls, seed, runaways=False)
        weeks += DAYS / 7
        pauses += len(played.pauses)
    assert pauses / weeks <= 1 / 8


@needs_trace
@pytest.mark.parametrize("customers", [3, pytest.param(20, marks=pytest.mark.torture)])
def test_an_agent_that_runs_away_is_paused(customers: int) -> None:
    """Thirty times what a customer of the trace does in a minute is paused, for all that its sessions are uneven."""
    scores = Scores()
    for seed, calls in enumerate(list(agent_calls(20).values())[:customers]):
        scores.add(*play_agents(calls, seed), weeks=DAYS / 7)
    strong = scores.from_strength(30)
    assert strong.injected > 0
    assert strong.recall >= 0.95

"""How well velocity is judged: made-up customers and the real agent trace, with runaways put in.

    python benchmarks/velocity.py --customers 10

Each made-up customer has four weeks of history and is played for one more, with a runaway of every strength in it: so
many times the calls that it makes while it is busy, for 3, 10 or 30 minutes at any hour. The customers of the agent
trace (`BILLING_TRACES`) are played from their first call on. What is judged, and how, is in docs/velocity.md.
"""

import argparse
from random import Random

from billing_pipeline.guardrails.nano import NANO
from billing_pipeline.guardrails.terms import VelocityTerms
from billing_pipeline_tests.guardrails.velocity.agents import AGENT_TRACE, DAYS, agent_calls
from billing_pipeline_tests.guardrails.velocity.scoring import TERMS, Scores, play_agents, play_week
from billing_pipeline_tests.guardrails.velocity.shapes import SHAPES

AGENT_CUSTOMERS = 20


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--customers", type=int, default=10, help="made-up customers of each shape")
    parser.add_argument("--deviations", type=float, default=TERMS.deviations)
    parser.add_argument("--least-cents", type=int, default=5, help="a minute of less never pauses")
    asked = parser.parse_args()
    least = asked.least_cents * NANO // 100
    terms = VelocityTerms(deviations=asked.deviations, least_spend_per_minute=least)
    made = Scores()
    print("| customers | strength | runaways | found | recall | median to pause | p90 |", flush=True)
    print("|---|---|---|---|---|---|---|")
    for shape in SHAPES:
        scores = Scores()
        for seed in range(asked.customers):
            customer = shape(Random(seed))
            scores.add(*play_week(customer, seed, terms), weeks=1)
        tell(customer.name, scores)
        made.include(scores)
    tell("all made-up", made)
    if not AGENT_TRACE.is_file():
        print(f"no agent trace at {AGENT_TRACE}; set BILLING_TRACES to its folder")
        return
    agents, quiet = Scores(), Scores()
    for seed, calls in enumerate(agent_calls(AGENT_CUSTOMERS).values()):
        agents.add(*play_agents(calls, seed, terms), weeks=DAYS / 7)
        quiet.add(*play_agents(calls, seed, terms, runaways=False), weeks=DAYS / 7)
    tell("agent trace", agents)
    print(f"agent trace, nothing put in: {quiet.false_pauses} pauses in {quiet.weeks:g} customer weeks")


def tell(name: str, scores: Scores) -> None:
    for strength, score in scores.by_strength.items():
        judged = score.injected - score.without_baseline
        print(
            f"| {name} | {strength:g} | {judged} | {score.found} | {score.recall:.2f} "
            f"| {score.time_to_pause(50):.0f} s | {score.time_to_pause(90):.0f} s |",
            flush=True,
        )
    strong = scores.from_strength(10)
    print(
        f"| {name} | 10 and more | {strong.injected - strong.without_baseline} | {strong.found} "
        f"| {strong.recall:.2f} | {strong.time_to_pause(50):.0f} s | {strong.time_to_pause(90):.0f} s |"
    )
    rate = scores.false_pauses / scores.weeks
    print(
        f"{name}: precision {scores.precision:.3f}; {scores.false_pauses} false pauses in {scores.weeks:g} "
        f"customer weeks, {rate:.2f} in one",
        flush=True,
    )


if __name__ == "__main__":
    main()

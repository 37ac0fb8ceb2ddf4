"""Agent runs that serve several customers at once: who pays which part is part of the event."""

from collections.abc import Iterator

from billing_pipeline.demo.customers import CUSTOMERS
from billing_pipeline.demo.sending import Chance, DemoRecord, sent
from billing_pipeline.demo.traffic import output

SHARED_RUNS = 12
_SHARES = (("0.5", "0.3", "0.2"), ("0.333333", "0.333333", "0.333334"), ("0.75", "0.25"))


def shared_runs(seed: int) -> Iterator[DemoRecord]:
    """A nightly crawl that two or three customers have ordered together."""
    chance = Chance(seed, "shared runs")
    for number in range(SHARED_RUNS):
        work = chance.work()
        payers = zip(CUSTOMERS[:3], _SHARES[number % len(_SHARES)], strict=False)
        event = output(f"crawl-{number:03}.output", work, chance)
        event["session_id"] = f"crawl-{number:03}"
        event["allocations"] = [
            {"customer_id": payer.customer_id, "project_id": payer.projects[0], "share": share}
            for payer, share in payers
        ]
        yield sent(event, chance.soon_after(work.occurred_at), "valid", "shared runs")

"""What the gateway does for the guard beside requests, each again and again: none stops another, or the requests.

What is due by time is ended by the ledger's own writer.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from billing_pipeline.control.clock import now_us
from billing_pipeline.errors import QueueFailedError
from billing_pipeline.gateway.gateway import Gateway
from billing_pipeline.gateway.metrics import Metrics
from billing_pipeline.guardrails.customers.current_customers import CurrentCustomers
from billing_pipeline.guardrails.customers.grant_sync import GrantSync
from billing_pipeline.guardrails.notices.book import waiting_count
from billing_pipeline.guardrails.notices.sender import NoticeSender, Webhook
from billing_pipeline.guardrails.outbox import OutboxSender, outbox_status
from billing_pipeline.guardrails.ports import Ledger, Pricer, TermsBook
from billing_pipeline.guardrails.review.queue import open_count
from billing_pipeline.guardrails.unguarded.follower import UnguardedFollower
from billing_pipeline.guardrails.watching.watch import VelocityWatch
from billing_pipeline.ingest.queue import Queue

OUTBOX_SECONDS = 1.0
NOTICES_SECONDS = 1.0
FOLLOWER_SECONDS = 2.0
VELOCITY_SECONDS = 5.0
GRANTS_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Chore:
    """Something that is done every so often; `close` is called once it will not be done again."""

    name: str
    every_seconds: float
    run: Callable[[], Awaitable[object]]
    close: Callable[[], Awaitable[object]] | None = None


def delivery_chores(control: Engine, queue: Queue, webhook: Webhook | None) -> list[Chore]:
    """What brings out what the ledger has written: usage events into the log, notices to the webhook."""
    chores = [_in_thread("outbox", OUTBOX_SECONDS, OutboxSender(control, queue).send)]
    if webhook is not None:
        sender = NoticeSender(control, webhook)
        chores.append(Chore("notices", NOTICES_SECONDS, sender.send_due, sender.close))
    return chores


def show_backlog(metrics: Metrics, control: Engine) -> None:
    """Adds to the metrics what waits to be brought out, and to be decided; NaN while it cannot be read."""

    def counted(count: Callable[[Engine], int]) -> Callable[[], float]:
        def value() -> float:
            try:
                return count(control)
            except SQLAlchemyError:
                return math.nan

        return value

    for name, meaning, count in (
        ("outbox", "Usage events of the guard that wait for the log.", lambda of: outbox_status(of).unsent),
        ("notices", "Notices that wait to be delivered.", waiting_count),
        ("reviews", "Review items that wait to be decided.", open_count),
    ):
        metrics.gauge(f"billing_guard_{name}_waiting", meaning, counted(count))


def watching_chores(
    control: Engine, queue: Queue, ledger: Ledger, terms_book: TermsBook, pricer: Pricer, *, metrics: Metrics
) -> list[Chore]:
    """What looks at spend: how fast it is, and what of it never asked the guard."""
    follower = UnguardedFollower(queue, control, ledger, terms_book, pricer)
    watch = VelocityWatch(control, ledger, terms_book)

    def follow() -> None:
        done = follower.run_once()
        outcomes = {"counted": done.counted, "taken_back": done.taken_back, **done.skipped}
        for outcome, count in outcomes.items():
            metrics.guard_log_events.labels(outcome).inc(count)

    def judge() -> None:
        metrics.guard_velocity_pauses.inc(watch.run_once())

    return [
        _in_thread("unguarded", FOLLOWER_SECONDS, follow),
        _in_thread("velocity", VELOCITY_SECONDS, judge),
    ]


def registry_chores(control: Engine, ledger: Ledger, customers: CurrentCustomers) -> list[Chore]:
    """What brings the credit that customers were granted into the ledger."""
    sync = GrantSync(ledger, control, now_us)
    return [_in_thread("grants", GRANTS_SECONDS, lambda: sync.run(customers.days.registry))]


async def keep_doing(gateway: Gateway, chore: Chore) -> None:
    """Do it every so often; never ends by itself. What fails is counted, told where it begins, and done again."""
    is_failing = False
    try:
        while True:
            await asyncio.sleep(chore.every_seconds)
            try:
                await chore.run()
            except QueueFailedError as error:
                gateway.fail(error)
            except Exception as error:  # noqa: BLE001 - whatever it is may pass, and must stop no other chore
                gateway.metrics.chore_failures.labels(chore.name).inc()
                if not is_failing:
                    gateway.log.problem(
                        "chore_failed", chore=chore.name, kind=type(error).__name__, message=str(error)[:500]
                    )
                is_failing = True
            else:
                if is_failing:
                    gateway.log.info("chore_works_again", chore=chore.name)
                is_failing = False
    finally:
        if chore.close is not None:
            await chore.close()


def _in_thread(name: str, every_seconds: float, work: Callable[[], object]) -> Chore:
    async def run() -> object:
        return await asyncio.to_thread(work)

    return Chore(name, every_seconds, run)

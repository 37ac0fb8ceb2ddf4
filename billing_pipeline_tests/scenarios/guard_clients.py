"""Clients of the guard that reserve and settle at once, while an operator changes limits and stops what they do."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Self

from billing_pipeline.guardrails.answers import Granted
from billing_pipeline.guardrails.commands import AddGrant, Lift, SetLimit, Stop
from billing_pipeline.guardrails.ledger_writer import LedgerWriter
from billing_pipeline.guardrails.requests import Release, Settle
from billing_pipeline.guardrails.scope import customer_scope, project_scope, session_scope
from billing_pipeline_tests.guardrails.made_ledger import made_reserve

PATIENCE_SECONDS = 120
PROJECTS = 3
SESSIONS = 12
LARGEST_ESTIMATE = 100
WHO = "ops@example.com"


@dataclass
class Load:
    """So many clients that ask for so many holds in all, on some accounts, through some writers."""

    writers: Sequence[LedgerWriter]
    accounts: Sequence[str]
    clients: int
    reserves: int
    seed: int = 1
    answers: Counter[str] = field(default_factory=Counter)
    """How many were granted, and how many each rule denied."""
    booked: int = 0
    """What all settles booked, in nano-units."""

    def run(self) -> None:
        """Until all have their answers."""
        shares = [
            self.reserves // self.clients + (i < self.reserves % self.clients) for i in range(self.clients)
        ]
        with ThreadPoolExecutor(self.clients) as threads:
            for answers, booked in threads.map(self._client, range(self.clients), shares):
                self.answers += answers
                self.booked += booked

    def _client(self, number: int, share: int) -> tuple[Counter[str], int]:
        chance = random.Random(self.seed * 1000 + number)
        writer = self.writers[number % len(self.writers)]
        answers: Counter[str] = Counter()
        booked = 0
        for turn in range(share):
            request = made_reserve(
                f"{number}/{turn}",
                chance.randint(1, LARGEST_ESTIMATE),
                # Some accounts are asked for more often than others.
                customer_id=self.accounts[int(len(self.accounts) * chance.random() ** 3)],
                project_id=f"p{chance.randrange(PROJECTS)}",
                session_id=f"s{chance.randrange(SESSIONS)}" if chance.random() < 0.5 else None,
            )
            hold = writer.submit(request).result(PATIENCE_SECONDS)
            if not isinstance(hold, Granted):
                answers[str(hold.rule)] += 1
                continue
            answers["granted"] += 1
            if chance.random() < 0.1:
                writer.submit(Release(hold_id=hold.hold_id)).result(PATIENCE_SECONDS)
            else:
                settle = Settle(hold_id=hold.hold_id, amount=chance.randint(0, hold.amount))
                # By any writer: it need not be the one that granted it.
                booked += chance.choice(self.writers).submit(settle).result(PATIENCE_SECONDS).booked
        return answers, booked


class Operator:
    """Raises and lowers limits, adds credit, and kills sessions and projects, at random, for as long as a block lasts.

    Args:
        writers: asked in turn.
        accounts: whose limits and scopes.
        limit: about what a customer may spend at most.
        pause_seconds: between one change and the next.
    """

    def __init__(
        self, writers: Sequence[LedgerWriter], accounts: Sequence[str], limit: int, pause_seconds: float
    ) -> None:
        self.changes: Counter[str] = Counter()
        self._writers = writers
        self._accounts = accounts
        self._limit = limit
        self._pause_seconds = pause_seconds
        self._chance = random.Random(7)
        self._enough = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="operator", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        actions: list[Callable[[str], None]] = [self._set_limit, self._add_credit, self._kill]
        try:
            while not self._enough.wait(self._pause_seconds):
                self._chance.choice(actions)(self._chance.choice(self._accounts))
        except BaseException as error:  # noqa: BLE001 - raised where the block ends
            self._failure = error

    def _do(self, command: Any) -> None:
        done = self._chance.choice(self._writers).submit(command).result(PATIENCE_SECONDS)
        self.changes[type(command).__name__] += done.changed

    def _scope(self, account: str) -> str:
        return self._chance.choice(
            [
                customer_scope(account),
                project_scope(account, f"p{self._chance.randrange(PROJECTS)}"),
                session_scope(account, f"s{self._chance.randrange(SESSIONS)}"),
            ]
        )

    def _set_limit(self, account: str) -> None:
        scope = self._scope(account)
        window = "session" if scope.startswith("session:") else self._chance.choice(["minute", "period"])
        amount = self._chance.randint(self._limit // 8, self._limit)
        self._do(
            SetLimit(
                scope=scope,
                currency="usd",
                window=window,  # type: ignore[arg-type]  # one of them
                severity="hard",
                amount=amount,
                inherit=self._chance.random() < 0.3,
                who=WHO,
                why="agreed",
            )
        )

    def _add_credit(self, account: str) -> None:
        grant_id = f"g{self._chance.random()}"
        amount = max(self._limit // 100, 1)
        self._do(AddGrant(customer_id=account, currency="usd", grant_id=grant_id, amount=amount))

    def _kill(self, account: str) -> None:
        scope = self._scope(account)
        self._do(Stop(scope=scope, kind="kill", who=WHO, why="a test"))
        self._enough.wait(self._pause_seconds)
        self._do(Lift(scope=scope, kind="kill", who=WHO, why="a test"))

"""A ledger at work on a recorded disk, and what must hold of whatever the disk has kept of it."""

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from billing_pipeline.audit.guard_invariants import guard_faults
from billing_pipeline.control.database import open_control
from billing_pipeline.errors import GuardError, GuardUnavailableError
from billing_pipeline.guardrails.answers import Answer, Granted
from billing_pipeline.guardrails.commands import AddGrant, Command, Done, SetLimit
from billing_pipeline.guardrails.ledger_writer import LedgerWriter
from billing_pipeline.guardrails.requests import Release, Request, Settle
from billing_pipeline.guardrails.store.sqlite_store import SqliteStore
from billing_pipeline.guardrails.usage import Usage
from billing_pipeline_tests.guardrails.made_ledger import (
    START_US,
    PriceByUnit,
    TermsByCustomer,
    made_reserve,
    made_terms,
)
from billing_pipeline_tests.ingest.power_loss.recorded_disk import RecordedDisk

FILE_NAME = "control.sqlite"
PATIENCE_SECONDS = 60
TERMS = TermsByCustomer(made_terms(needs_credit=True))
LIMIT = SetLimit(
    scope="customer:acme",
    currency="usd",
    window="day",
    severity="hard",
    amount=10**12,
    who="ops@example.com",
    why="agreed",
)
Connect = Callable[..., Any]


@dataclass
class RecordedLedger:
    """Requests to the ledger in a folder, whose file is on the recorded disk from the start."""

    folder: Path
    migrated: Path
    disk: RecordedDisk = field(default_factory=RecordedDisk)
    said: list[tuple[Request | Command, Answer | Done]] = field(default_factory=list)
    """What was acknowledged, in order; a step of the disk says when."""
    errors: list[GuardError] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        shutil.copyfile(self.migrated, self.folder / FILE_NAME)
        inode = self.disk.open(FILE_NAME, exists=False, syncs_folder=False)
        self.disk.record("write", inode=inode, data=self.migrated.read_bytes())
        self.disk.sync(inode)
        self.disk.record("sync folder")

    def write(self, connect: Connect, groups: Sequence[int]) -> None:
        """Credit, then so many holds at a time as `groups` says, which are settled, released or left open."""
        with opened(self.folder, connect) as writer:
            self._ask(writer, [AddGrant(customer_id="acme", currency="usd", grant_id="g", amount=10**12)])
            for number, size in enumerate(groups):
                reserves = [made_reserve(f"{number}/{place}", 75) for place in range(size)]
                granted = [answer for answer in self._ask(writer, reserves) if isinstance(answer, Granted)]
                self._ask(writer, [end(hold, place) for place, hold in enumerate(granted) if place % 4 < 3])
            self._ask(writer, [LIMIT])

    def _ask(self, writer: LedgerWriter, requests: Sequence[Request | Command]) -> list[Answer | Done]:
        futures = []
        for request in requests:
            future: Future[Any] = writer.submit(request)
            # The writer's thread runs this where it answers, before it does anything else to the disk.
            future.add_done_callback(partial(self._answered, request))
            futures.append(future)
        return [future.result() for future in futures if future.exception(PATIENCE_SECONDS) is None]

    def _answered(self, request: Request | Command, done: Future[Any]) -> None:
        error = done.exception()
        if error is None:
            self.disk.record("acknowledged", offset=len(self.said))
            self.said.append((request, done.result()))
        else:
            assert isinstance(error, GuardUnavailableError), error
            self.errors.append(error)

    def lost(self, folder: Path, cut: int | None = None) -> int:
        """How many answers given before the cut are not what the file in a folder answers now.

        Everything else about the file must hold: the books are sound, and the ledger goes on.
        """
        count = sum(step.kind == "acknowledged" for step in self.disk.steps[:cut])
        lost = 0
        with opened(folder) as writer:
            asked = [(writer.submit(request), answer) for request, answer in self.said[:count]]
            for future, answer in asked:
                again = None if future.exception(PATIENCE_SECONDS) else future.result()
                lost += again != (Done(changed=0) if isinstance(answer, Done) else answer)
            after = writer.submit(AddGrant(customer_id="beta", currency="usd", grant_id="after", amount=75))
            assert after.result(PATIENCE_SECONDS) == Done(changed=1)
            granted = writer.submit(made_reserve("after", customer_id="beta")).result(PATIENCE_SECONDS)
            assert isinstance(granted, Granted)
        control = open_control(f"sqlite:///{folder / FILE_NAME}")
        faults = guard_faults(control)
        control.dispose()
        assert faults == []
        return lost


def end(hold: Granted, place: int) -> Request:
    """A settle in money or in usage, or a release."""
    if place % 3 == 0:
        return Settle(hold_id=hold.hold_id, amount=50)
    if place % 3 == 1:
        return Settle(hold_id=hold.hold_id, usage=(Usage(unit="token", quantity="2"),))
    return Release(hold_id=hold.hold_id)


def opened(folder: Path, connect: Connect | None = None) -> LedgerWriter:
    """A writer of the file in a folder that does nothing unless asked."""
    path = folder / FILE_NAME
    store = SqliteStore(path, lambda: START_US, *([] if connect is None else [connect]))
    return LedgerWriter(store, TERMS, PriceByUnit(), sweep_seconds=3600)

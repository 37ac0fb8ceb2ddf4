"""The ledger's one writer in this process: gathers requests into a transaction, answers each after its commit.

Other processes have writers of their own; the database keeps them apart.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Self

from billing_pipeline.errors import GuardError, GuardUnavailableError
from billing_pipeline.guardrails.answers import Answer
from billing_pipeline.guardrails.checking import check
from billing_pipeline.guardrails.commands import Command, Done, ExpireDue
from billing_pipeline.guardrails.ledger.book import Book
from billing_pipeline.guardrails.ledger.deciding import decide
from billing_pipeline.guardrails.ledger.wanted import wanted
from billing_pipeline.guardrails.ports import Pricer, TermsBook
from billing_pipeline.guardrails.requests import Request
from billing_pipeline.guardrails.store.port import Store

GROUP_MOST = 512
"""Requests in one transaction."""

WAITING_MOST = 20_000
"""Requests that may wait; more are refused, as their callers would have given up before it was their turn."""

SWEEP_SECONDS = 1.0
"""How often what is due by time is ended, whether anybody asks or not."""
SWEEP_MOST = 1000
"""Of each kind, in one transaction; where there is more it goes on at once, between the groups of requests."""

LINGER_SECONDS = 0.0005
"""How long the writer waits for more where fewer ask than were answered last; a quarter of what a commit takes."""

Asked = tuple[Request | Command, Future[Any]]


class LedgerWriter:
    """The thread that decides and writes, from `__init__` to `close`."""

    def __init__(
        self,
        store: Store,
        terms_book: TermsBook,
        pricer: Pricer,
        *,
        sweep_seconds: float = SWEEP_SECONDS,
        group_most: int = GROUP_MOST,
    ) -> None:
        self.commits = 0
        """Transactions committed; fewer than requests where they were gathered."""
        self._store = store
        self._terms_book = terms_book
        self._pricer = pricer
        self._sweep_seconds = sweep_seconds
        self._group_most = group_most
        self._book = Book(store)
        self._last_us = 0
        self._last_group = 0
        self._waiting: list[Asked] = []
        self._is_closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="writer of the guard's ledger", daemon=True)
        self._thread.start()

    def submit(self, request: Any) -> Future[Any]:
        """See `ports.Ledger`.

        Raises:
            GuardRequestError: a field is not possible.
            GuardUnavailableError: too many wait, or the ledger is closed; nothing was taken in.
        """
        check(request)
        done: Future[Any] = Future()
        with self._changed:
            if self._is_closed:
                raise GuardUnavailableError("the guard's ledger is closed; nothing was moved")
            if len(self._waiting) >= WAITING_MOST:
                raise GuardUnavailableError(
                    f"{len(self._waiting)} requests wait for the guard's ledger; nothing was moved, ask again later"
                )
            self._waiting.append((request, done))
            if len(self._waiting) == 1:
                self._changed.notify()
        return done

    def close(self) -> None:
        """Finish what was handed in, and leave the database. Twice changes nothing."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def _run(self) -> None:
        next_sweep = time.monotonic() + self._sweep_seconds
        try:
            while (group := self._take(next_sweep)) is not None:
                if time.monotonic() >= next_sweep:
                    is_more = self._sweep()
                    next_sweep = time.monotonic() + (0.0 if is_more else self._sweep_seconds)
                if group:
                    self._write(group)
        finally:
            # Also after a fault of ours: a thread that ended silently would let everybody wait.
            with self._changed:
                self._is_closed = True
                waiting, self._waiting = self._waiting, []
            _fail(waiting, lambda: GuardUnavailableError("the guard's ledger has ended; nothing was moved"))
            self._store.close()

    def _sweep(self) -> bool:
        """End what is due; whether there may be more of it than one transaction takes."""
        due, done = ExpireDue(at_most=SWEEP_MOST), Future[Done]()
        self._write([(due, done)])
        return done.exception() is None and done.result().changed >= SWEEP_MOST

    def _take(self, until: float) -> list[Asked] | None:
        """What waits now, at most a group; None once nothing waits and nothing will come."""
        with self._changed:
            if not self._waiting and not self._is_closed:
                self._changed.wait(max(until - time.monotonic(), 0.0))
            if not self._waiting:
                return None if self._is_closed else []
            wanted = min(self._last_group, self._group_most)
        if len(self._waiting) < wanted:
            # Those who were answered just now ask again at once: a moment's patience puts them into one commit.
            time.sleep(LINGER_SECONDS)
        with self._changed:
            taken, self._waiting = self._waiting[: self._group_most], self._waiting[self._group_most :]
        self._last_group = len(taken)
        return [asked for asked in taken if asked[1].set_running_or_notify_cancel()]

    def _write(self, group: list[Asked]) -> None:
        """One transaction for all; a request that is refused is refused alone."""
        book = self._book
        try:
            at_us = self._store.begin([request for request, _ in group], book)
            at_us = self._last_us = max(at_us, self._last_us)
            if self._store.prefetches:
                requests = [request for request, _ in group]
                self._store.fetch(book, *wanted(book, requests, at_us, self._terms_book))
            answers = [self._decide(request, at_us) for request, _ in group]
            if book.changes:
                self._store.commit(book.changes)
                self.commits += 1
            else:
                self._store.roll_back()
            # Also where all was refused: what was looked up for it would pile up.
            book.written()
        except BaseException as error:  # noqa: BLE001 - whatever it was, nobody may wait for ever
            self._take_back(group, error)
            return
        for (_, done), answer in zip(group, answers, strict=True):
            if isinstance(answer, GuardError):
                done.set_exception(answer)
            else:
                done.set_result(answer)

    def _decide(self, request: Request | Command, at_us: int) -> Answer | Done | GuardError:
        try:
            return decide(self._book, request, at_us, self._terms_book, self._pricer)
        except GuardUnavailableError:
            raise
        except GuardError as refusal:
            return refusal

    def _take_back(self, group: list[Asked], error: BaseException) -> None:
        """Nothing of the group is written. A fault of ours is one request's: the others are tried without it."""
        self._book.forget()
        self._store.roll_back()
        if isinstance(error, GuardUnavailableError) or len(group) == 1:
            _fail(group, lambda: _told(error))
            return
        for asked in group:
            self._write([asked])


def _told(error: BaseException) -> GuardError:
    if isinstance(error, GuardError):
        return type(error)(*error.args) if isinstance(error, GuardUnavailableError) else error
    told = GuardUnavailableError(f"a fault of the guard ({type(error).__name__}: {error}); nothing was moved")
    told.__cause__ = error
    return told


def _fail(group: list[Asked], failure: Callable[[], GuardError]) -> None:
    for _, done in group:
        if not done.done():
            done.set_exception(failure())

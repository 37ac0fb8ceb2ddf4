"""Processes that reserve and settle in a loop, noting what they were answered, until they are killed.

Each appends to a file of its own, one line per act: before it asks, and after it was answered. What it has written
when it is killed is what its callers know. Some acts are sent twice, at once, crossed, late or under another key, on
purpose.
"""

import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec

from billing_pipeline.control.clock import now_us
from billing_pipeline.errors import GuardConflictError, GuardUnavailableError
from billing_pipeline.guardrails.answers import Denied, Ended, Granted
from billing_pipeline.guardrails.ledger_writer import LedgerWriter
from billing_pipeline.guardrails.requests import Extend, Release, Reserve, Settle
from billing_pipeline.guardrails.terms import BreakerTerms, Terms
from billing_pipeline.guardrails.usage import Usage
from billing_pipeline_tests.guardrails.made_ledger import TermsByCustomer, made_reserve
from billing_pipeline_tests.scenarios.guard_terms import hard, is_over, lasting_terms, open_writer

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

CUSTOMERS = ("acme", "beta", "gamma")
THREADS = 6
TTL_SECONDS = 1
LIMIT = 2_000_000
PATIENCE_SECONDS = 60.0

TERMS = TermsByCustomer(
    lasting_terms(limits=(hard("customer", "period", LIMIT), hard("project", "minute", LIMIT // 100)))
)
TERMS.own["acme"] = lasting_terms(
    needs_credit=True,
    overdraft_trips=False,
    limits=(hard("customer", "period", LIMIT),),
    breaker=BreakerTerms(steps=200),
)


def terms_of(customer_id: str) -> Terms:
    """What holds for each."""
    return TERMS.own.get(customer_id, TERMS.for_all)


class Note(msgspec.Struct, array_like=True, frozen=True):
    """One line of a process's file: what was asked, and the answer where it is there by now.

    Attributes:
        answer: `asked`, `granted`, `denied`, `ended`, or the code of a conflict.
        hold_id: of a reserve, once it is granted.
        amount: held or booked, in nano-units.
        sends: usage events that the settle sends.
        request: what was asked, as JSON.
        was_done: the first answer was none, as a process or a connection had ended; yet it was done.
    """

    act: str
    answer: str
    hold_id: str
    key: str
    amount: int = 0
    late: bool = False
    sends: int = 0
    request: str = ""
    was_done: bool = False


_ENCODER, _DECODER = msgspec.json.Encoder(), msgspec.json.Decoder(Note)


_REQUESTS: dict[str, type[Reserve | Settle | Release]] = {
    "reserve": Reserve,
    "settle": Settle,
    "release": Release,
}


def read_notes(folder: Path) -> list[Note]:
    """What all processes have written; a line that a kill cut short is none that anybody has read."""
    lines = [
        line for path in sorted(folder.iterdir()) for line in path.read_bytes().splitlines(keepends=True)
    ]
    return [_DECODER.decode(line) for line in lines if line.endswith(b"\n")]


def left_behind(path: Path) -> list[Reserve | Settle | Release]:
    """What a killed process had asked and does not know the answer to, and settles for what it held.

    The product knows what it had begun: it asks again, and settles what it did, though that may be late by now.
    """
    open_acts: dict[tuple[str, str, str], Reserve | Settle | Release] = {}
    held: dict[str, int] = {}
    for line in path.read_bytes().splitlines(keepends=True):
        if not line.endswith(b"\n"):
            continue
        note = _DECODER.decode(line)
        act = (note.act, "" if note.act == "reserve" else note.hold_id, note.key)
        if note.answer == "asked":
            open_acts[act] = msgspec.json.decode(note.request, type=_REQUESTS[note.act])
        else:
            open_acts.pop(act, None)
        if note.answer == "granted":
            held[note.hold_id] = note.amount
        else:
            held.pop(note.hold_id, None)
    settles = [Settle(hold_id=hold_id, amount=amount // 2) for hold_id, amount in held.items()]
    return [*open_acts.values(), *settles]


class Fire:
    """So many processes at work on one database. Use it as a context manager: it leaves none behind."""

    def __init__(self, url: str, folder: Path, *, processes: int = 2, seed: int = 1) -> None:
        self.folder = folder
        self._url = url
        self._random = random.Random(seed)
        self._context = get_context("forkserver")
        self._context.set_forkserver_preload([__name__])
        self._stopping = self._context.Event()
        self._lives = 0
        self._processes: list[BaseProcess] = [self._start() for _ in range(processes)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.join()

    def kill_one(self, longest_seconds: float) -> None:
        """Kill a process a random while after it wrote something, and start another in its place."""
        self.wait_for_more()
        time.sleep(self._random.uniform(0.0, longest_seconds))
        place = self._random.randrange(len(self._processes))
        killed = self._processes[place]
        killed.kill()
        killed.join()
        self._processes[place] = self._start(Path(killed.name))

    def wait_for_more(self) -> None:
        """Until every process that is alive was answered something since now."""
        before = {path: path.stat().st_size for path in self._living()}
        deadline = time.monotonic() + PATIENCE_SECONDS
        while any(path.stat().st_size == before[path] for path in before):
            assert time.monotonic() < deadline, "nothing gets through any more"
            time.sleep(0.005)

    def finish(self) -> None:
        """Let every process end what it is at."""
        self._stopping.set()
        for process in self._processes:
            process.join(PATIENCE_SECONDS)
            assert process.exitcode == 0, f"a process ended with {process.exitcode}"

    def _living(self) -> list[Path]:
        return [Path(process.name) for process in self._processes]

    def _start(self, before: Path | None = None) -> "BaseProcess":
        self._lives += 1
        path = self.folder / f"life-{self._lives}"
        path.touch()
        arguments = (self._url, path, before, self._stopping)
        process = self._context.Process(target=live, args=arguments, name=str(path), daemon=True)
        process.start()
        return process


def live(url: str, path: Path, before: Path | None, stopping: Any) -> None:
    """Be a process that reserves and settles until it is told to stop, or killed.

    Args:
        url: of the control database.
        path: where it notes what it does.
        before: the notes of a process that was killed; what it left behind is asked again, or settled.
        stopping: an event.
    """
    file = os.open(path, os.O_WRONLY | os.O_APPEND)

    def note(written: Note) -> None:
        os.write(file, _ENCODER.encode(written) + b"\n")

    with open_writer(url, TERMS) as writer:
        if before is not None:
            Client(writer, path.name, note).take_over(left_behind(before))
        threads = [
            threading.Thread(
                target=Client(writer, f"{path.name}/{number}", note).work, args=(partial(is_over, stopping),)
            )
            for number in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


class Client:
    """One of a process's threads."""

    def __init__(self, writer: LedgerWriter, name: str, note: Callable[[Note], None]) -> None:
        self._writer = writer
        self._name = name
        self._note = note
        self._random = random.Random(name)
        self._left_open: list[tuple[float, Granted]] = []
        self._since_us = 0
        """What is older was done before this client asked; 0 where nobody was before it."""
        self._refused_us = 0
        """When the last act was refused for the first time; 0 where it was not."""

    def work(self, must_end: Callable[[], bool]) -> None:
        """One action after the other."""
        turn = 0
        while not must_end():
            turn += 1
            hold = self._reserve(turn)
            if hold is not None:
                self._random.choices(
                    (self._settle, self._settle_twice, self._cross, self._release, self._extend, self._leave),
                    (50, 12, 12, 8, 4, 14),
                )[0](hold)
            while self._left_open and self._left_open[0][0] < time.monotonic():
                self._settle_late(self._left_open.pop(0)[1])
        for due, hold in self._left_open:
            time.sleep(max(due - time.monotonic(), 0.0))
            self._settle_late(hold)

    def take_over(self, requests: Sequence[Reserve | Settle | Release]) -> None:
        """Ask again what a process had asked that was killed; half of the time when all its holds have expired."""
        if self._random.random() < 0.5:
            time.sleep(2 * TTL_SECONDS)
        self._since_us = now_us()
        for request in requests:
            if isinstance(request, Reserve):
                self._note_granted(request, self._ask(request))
            else:
                self._end(request)

    def _reserve(self, turn: int) -> Granted | None:
        key = f"{self._name}/{turn}"
        request = made_reserve(
            key,
            self._random.randint(1, 100),
            customer_id=self._random.choice(CUSTOMERS),
            project_id=self._random.choice("pqr"),
            session_id=f"{self._name}/{turn // 50}" if self._random.random() < 0.5 else None,
            ttl_seconds=TTL_SECONDS,
        )
        self._note(Note("reserve", "asked", "", key, request=_ENCODER.encode(request).decode()))
        answer = self._ask(request)
        if self._random.random() < 0.1:
            assert self._ask(request) == answer, "a repeat gets the same answer"
        return self._note_granted(request, answer)

    def _note_granted(self, request: Reserve, answer: Granted | Denied) -> Granted | None:
        key = request.idempotency_key
        if isinstance(answer, Denied):
            self._note(Note("reserve", "denied", "", key))
            return None
        was_done = self._was_done(answer.granted_at)
        self._note(Note("reserve", "granted", answer.hold_id, key, answer.amount, was_done=was_done))
        return answer

    def _settle(self, hold: Granted) -> None:
        self._end(self._settle_request(hold))

    def _settle_twice(self, hold: Granted) -> None:
        """At once under one key, and then under another."""
        request = self._settle_request(hold)
        self._note_asked(request)
        futures = [self._submit(request) for _ in range(2)]
        self._end(request)
        for future in futures:
            with suppress(GuardUnavailableError):
                if future is not None:
                    assert isinstance(future.result(PATIENCE_SECONDS), Ended)
        self._end(Settle(hold_id=hold.hold_id, amount=hold.amount, idempotency_key="another"))

    def _cross(self, hold: Granted) -> None:
        """A settle and a release at once: one of them ends the hold."""
        settle, release = self._settle_request(hold), Release(hold_id=hold.hold_id)
        requests: list[Settle | Release] = [settle, release]
        self._random.shuffle(requests)
        for request in requests:
            self._note_asked(request)
        for future in [self._submit(request) for request in requests]:
            with suppress(GuardUnavailableError, GuardConflictError):
                if future is not None:
                    future.result(PATIENCE_SECONDS)
        for request in requests:
            self._end(request)

    def _release(self, hold: Granted) -> None:
        self._end(Release(hold_id=hold.hold_id))

    def _extend(self, hold: Granted) -> None:
        with suppress(GuardConflictError):
            self._ask(Extend(hold_id=hold.hold_id, ttl_seconds=TTL_SECONDS, idempotency_key="longer"))
        self._end(self._settle_request(hold))

    def _leave(self, hold: Granted) -> None:
        """Forgotten for good, or until after it has expired."""
        if self._random.random() < 0.6:
            self._left_open.append((time.monotonic() + 1.5 * TTL_SECONDS, hold))

    def _settle_late(self, hold: Granted) -> None:
        request = self._settle_request(hold)
        self._end(request)
        self._end(request)
        self._end(Release(hold_id=hold.hold_id))

    def _settle_request(self, hold: Granted) -> Settle:
        """Now and then above what was held; now and then in usage, which sends an event."""
        if self._random.random() < 0.3:
            usage = tuple(
                Usage(unit="token", quantity=f"0.{self._random.randrange(8):02}")
                for _ in range(self._random.randint(1, 2))
            )
            return Settle(hold_id=hold.hold_id, usage=usage)
        return Settle(hold_id=hold.hold_id, amount=self._random.randint(0, hold.amount * 5 // 4))

    def _note_asked(self, request: Settle | Release) -> None:
        act = type(request).__name__.lower()
        text = _ENCODER.encode(request).decode()
        self._note(Note(act, "asked", request.hold_id, request.idempotency_key, request=text))

    def _end(self, request: Settle | Release) -> None:
        self._note_asked(request)
        act, sends = type(request).__name__.lower(), len(request.usage) if isinstance(request, Settle) else 0
        try:
            answer = self._ask(request)
        except GuardConflictError as conflict:
            self._note(Note(act, conflict.code, request.hold_id, request.idempotency_key))
            return
        assert isinstance(answer, Ended)
        self._note(
            Note(
                act,
                "ended",
                request.hold_id,
                request.idempotency_key,
                answer.booked,
                answer.late,
                sends,
                was_done=self._was_done(answer.ended_at),
            )
        )

    def _was_done(self, at_us: int) -> bool:
        """Whether it was done before anybody was told so."""
        return at_us < max(self._since_us, self._refused_us)

    def _submit(self, request: Any) -> Future[Any] | None:
        with suppress(GuardUnavailableError):
            return self._writer.submit(request)
        return None

    def _ask(self, request: Reserve | Settle | Release | Extend) -> Any:
        """As a product does: while it is not known whether it was done, ask again with the same key."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        self._refused_us = 0
        while True:
            try:
                return self._writer.submit(request).result(PATIENCE_SECONDS)
            except GuardUnavailableError:
                self._refused_us = self._refused_us or now_us()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

"""Two processes of clients that reserve without a pause, each with a writer, while a third flips kill switches."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, Self

from billing_pipeline.guardrails.answers import DenialRule, Granted
from billing_pipeline.guardrails.commands import Lift, Stop
from billing_pipeline.guardrails.ledger_writer import LedgerWriter
from billing_pipeline.guardrails.requests import Settle
from billing_pipeline_tests.guardrails.made_ledger import TermsByCustomer, made_reserve
from billing_pipeline_tests.scenarios.guard_terms import is_over, lasting_terms, open_writer

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

PROCESSES, THREADS = 2, 32
PATIENCE_SECONDS = 60.0
TERMS = TermsByCustomer(lasting_terms())
SCOPES = ("session:acme/s0", "project:acme/p0", "customer:acme")
DENIALS_WAITED_FOR = 3

Asked = tuple[int, int, str, str, str, str]
"""When it was handed in and answered (ns, one clock for all), customer, project, session, and the answer."""


@dataclass(frozen=True)
class Flip:
    """A kill switch that was set and taken back: asked for, acknowledged, and taken back, ns."""

    scope: str
    called: int
    acknowledged: int
    lifted: int

    def stops(self, asked: Asked) -> bool:
        """Whether a request is in its scope."""
        _, _, customer, project, session, _ = asked
        scopes = (f"customer:{customer}", f"project:{customer}/{project}", f"session:{customer}/{session}")
        return self.scope in scopes


class Clients:
    """The processes. Use it as a context manager; `asked` is there when it has ended."""

    def __init__(self, url: str) -> None:
        self.asked: list[Asked] = []
        context = get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self._stopping = context.Event()
        self._denied = [context.Value("q", 0) for _ in range(PROCESSES)]
        self._granted = [context.Value("q", 0) for _ in range(PROCESSES)]
        pipes = [context.Pipe(duplex=False) for _ in range(PROCESSES)]
        self._receives = [receives for receives, _ in pipes]
        self._processes: list[BaseProcess] = [
            context.Process(
                target=ask_on_and_on,
                args=(url, number, self._stopping, self._denied[number], self._granted[number], sends),
                daemon=True,
            )
            for number, (_, sends) in enumerate(pipes)
        ]

    def __enter__(self) -> Self:
        for process in self._processes:
            process.start()
        self._wait_for_more(self._granted)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        try:
            for receives in self._receives:
                if receives.poll(PATIENCE_SECONDS):
                    self.asked += receives.recv()
        finally:
            for process in self._processes:
                process.kill()
                process.join()

    def flip(self, writer: LedgerWriter, scope: str) -> Flip:
        """Kill, wait until every process was denied by it, and take it back; then wait until all are granted again."""
        called = time.monotonic_ns()
        before = [counter.value for counter in self._denied]
        stop = Stop(scope=scope, kind="kill", who="ops@example.com", why="runaway")
        writer.submit(stop).result(PATIENCE_SECONDS)
        acknowledged = time.monotonic_ns()
        self._wait_for_more(self._denied, before)
        lifted = time.monotonic_ns()
        lift = Lift(scope=scope, kind="kill", who="ops@example.com", why="over")
        writer.submit(lift).result(PATIENCE_SECONDS)
        self._wait_for_more(self._granted)
        return Flip(scope, called, acknowledged, lifted)

    @staticmethod
    def _wait_for_more(counters: Sequence[Any], before: Sequence[int] | None = None) -> None:
        before = before or [counter.value for counter in counters]
        deadline = time.monotonic() + PATIENCE_SECONDS
        while any(
            counter.value < at + DENIALS_WAITED_FOR for counter, at in zip(counters, before, strict=True)
        ):
            assert time.monotonic() < deadline, "nothing gets through any more"
            time.sleep(0.002)


def ask_on_and_on(url: str, number: int, stopping: Any, denied: Any, granted: Any, sends: Any) -> None:
    """Be a process of 32 clients until told to stop; then send what was asked."""
    asked: list[Asked] = []

    def client(place: int) -> None:
        turn = 0
        while not is_over(stopping):
            turn += 1
            project, session = f"p{place % 2}", f"s{place % 4}"
            request = made_reserve(f"{number}/{place}/{turn}", 75, project_id=project, session_id=session)
            handed_in = time.monotonic_ns()
            answer = writer.submit(request).result(PATIENCE_SECONDS)
            answered = time.monotonic_ns()
            if isinstance(answer, Granted):
                asked.append((handed_in, answered, "acme", project, session, "granted"))
                granted.value += 1
                writer.submit(Settle(hold_id=answer.hold_id, amount=50)).result(PATIENCE_SECONDS)
            else:
                asked.append((handed_in, answered, "acme", project, session, str(answer.rule)))
                denied.value += answer.rule == DenialRule.KILLED

    with open_writer(url, TERMS) as writer:
        threads = [threading.Thread(target=client, args=(place,)) for place in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    sends.send(asked)

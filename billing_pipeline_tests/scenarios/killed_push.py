"""Pushes under fire that are killed and run again: `killed_push.py ORDERS.json`, started by test_stripe_fault_matrix.

Python starts once; the lanes, their servers and every single push are forked from it, so that a kill -9 of a real
process costs no start. No process that forks has threads. What is found about each case goes to stdout, a line of JSON
for each; in the end every lane looks at its Stripe and says what stands there.
"""

import gc
import json
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from billing_pipeline.control.database import open_control
from billing_pipeline.invoicing.push import plan, sending, steps
from billing_pipeline.invoicing.push.invoice_push import push_invoices
from billing_pipeline.invoicing.push.planned import PlannedInvoice, PlannedLine
from billing_pipeline.invoicing.stripe.gateway import StripeGateway
from billing_pipeline_tests.scenarios.stripe_under_fire import (
    CLIENT_TIMEOUT_SECONDS,
    HITS_PATH,
    SECOND_BATCH,
    Orders,
    serve,
)

NOW_US = 1_790_000_000_000_000
DAY_US = 86_400_000_000
RUNS_MOST = 8
LINES_PER_REQUEST = 2
LONGEST_SLEEP_SECONDS = 0.02


@dataclass(frozen=True)
class Case:
    """One case: what goes wrong where, when the process is killed, and what is pushed.

    Attributes:
        kill: `no`; `before` the request of the step; `after` the first answer to it, or failure of it; once it was
            `answered` well. Always before anything is written about it.
        number: which request of the step meets the fault, and the kill.
        next_day: whether every run after the first is a day later, when the keys are gone.
        pushers: processes that push the same at the same time.
    """

    name: str
    step: str
    fault: str
    kill: str
    number: int = 1
    customers: int = 1
    periods: int = 1
    next_day: bool = False
    pushers: int = 1

    def invoices(self) -> list[PlannedInvoice]:
        """What is pushed: three lines each, so two requests, one of them negative."""
        return [
            PlannedInvoice(
                customer_id=f"{self.name}-{customer}",
                customer_name="Ada GmbH",
                billing_period=date(2026, 1 + period, 1),
                currency="usd",
                lines=tuple(
                    PlannedLine(
                        line_id=f"batch-{line // LINES_PER_REQUEST}-line-{line}",
                        description=f"Tokens, line {line}",
                        amount_minor=1000 + 7 * customer + period if line < 2 else -300,
                        quantity_text="1,000 tokens",
                    )
                    for line in range(3)
                ),
            )
            for customer in range(self.customers)
            for period in range(self.periods)
        ]


class Fatal:
    """A gateway whose process is killed at the NUMBERth call that makes a step."""

    def __init__(self, gateway: StripeGateway, step: str, kill: str, number: int) -> None:
        self._gateway = gateway
        self._at, self._kill, self._left = step, kill, number
        self._finalized: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        """The method, with a death in it."""
        method = getattr(self._gateway, name)

        def call(*arguments: Any) -> Any:
            mine = self._kill != "no" and self._step(name, arguments) == self._at
            self._left -= mine
            mine = mine and self._left <= 0
            if mine and self._kill == "before":
                die()
            try:
                answer = method(*arguments)
            except BaseException:
                if mine and self._kill == "after":
                    die()
                raise
            if mine:
                die()
            if name == "finalize_invoice":
                self._finalized.add(arguments[0])
            return answer

        return call

    def _step(self, name: str, arguments: Sequence[Any]) -> str:
        if name == "add_lines":
            return "add_lines_1" if SECOND_BATCH in json.dumps(arguments[1]) else "add_lines_0"
        if name in {"retrieve_invoice", "lines"}:
            step = "read_back" if arguments[0] in self._finalized else "verify"
            return f"{step}_lines" if name == "lines" else step
        return "finalize" if name == "finalize_invoice" else name


def die() -> None:
    """End as if the power had failed, as far as this process is concerned."""
    os.kill(os.getpid(), signal.SIGKILL)


def take_away(defence: str) -> None:
    """Push without one of the defences, so that it can be seen that the matrix finds out."""
    send: Any = sending.Sender.send
    if defence == "look_up":

        def blind(*arguments: Any, **options: Any) -> Any:
            *others, _look_up = arguments
            return send(*others, lambda _request: None, **options)

        sending.Sender.send = blind  # type: ignore[method-assign]  # in this process, which is thrown away
    elif defence == "same_key":

        def forgetful(
            self: Any, operation: str, subject: str, parameters: Any, call: Any, look_up: Any, **o: Any
        ) -> Any:
            def anew(sent: Any, _key: str) -> Any:
                return call(sent, os.urandom(8).hex())

            return send(self, operation, subject, parameters, anew, look_up, **o)

        sending.Sender.send = forgetful  # type: ignore[method-assign]  # as above
    elif defence == "verify":
        steps.differences = lambda *_: []  # type: ignore[attr-defined]  # as above


def push_once(case: Case, run: int, address: str, control_url: str, defence: str) -> str:
    """One run of one process: the states of the invoices, in one word where they agree."""
    day = 2 if case.next_day and run > 0 else 1
    orders = Orders(case.name, case.step, case.fault, case.number, str(day))
    gateway = StripeGateway(orders.key, address, timeout_seconds=CLIENT_TIMEOUT_SECONDS)
    fatal = Fatal(gateway, case.step, case.kill if run == 0 else "no", case.number)
    take_away(defence)
    results = push_invoices(
        open_control(control_url),
        fatal,
        case.invoices(),
        clock=lambda: NOW_US + (day - 1) * 25 * DAY_US // 24,
        sleep=lambda seconds: time.sleep(min(seconds, LONGEST_SLEEP_SECONDS)),
    )
    wrong = [f"{each.state}: {each.message}" for each in results if each.state != "finalized"]
    return wrong[0] if wrong else "finalized"


def run_in_child(case: Case, run: int, address: str, control_url: str, defence: str) -> tuple[int, int]:
    """Fork a process that pushes: its id, and where what it says can be read."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    try:
        os.close(reading)
        os.write(writing, push_once(case, run, address, control_url, defence).encode()[:60_000])
    except BaseException:  # noqa: BLE001 - a child must not go on with its parent's work
        os.write(writing, traceback.format_exc().encode()[-4000:])
    os._exit(0)


def settle(case: Case, address: str, control_url: str, defence: str) -> dict[str, Any]:
    """Run the case until nothing is left to do: how it ended, after how many runs and kills."""
    kills, said = 0, [""]
    for run in range(RUNS_MOST):
        children = [run_in_child(case, run, address, control_url, defence) for _ in range(case.pushers)]
        said = []
        for child, reading in children:
            with os.fdopen(reading, "rb") as pipe:
                said.append(pipe.read().decode())
            _, status = os.waitpid(child, 0)
            kills += os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        if all(each == "finalized" for each in said):
            break
    return {"ended": said[0], "runs": run + 1, "kills": kills}


def in_stripe(gateway: StripeGateway, case: Case) -> list[str]:
    """How what stands in Stripe differs from exactly one right, final invoice per customer and period."""
    faults = []
    for customer in sorted({invoice.customer_id for invoice in case.invoices()}):
        found = gateway.find_customers(customer, 0)
        if len(found) != 1:
            faults.append(f"{len(found)} customers {customer}")
        there = [invoice for each in found for invoice in gateway.invoices_of(each)]
        for planned in (each for each in case.invoices() if each.customer_id == customer):
            period = planned.billing_period.isoformat()
            made = [each for each in there if each.metadata.get("billing_period") == period]
            if len(made) != 1:
                faults.append(f"{len(made)} invoices of {customer} {period}")
            for invoice in made:
                lines = sorted((str(line.line_id), line.amount) for line in gateway.lines(invoice.invoice_id))
                if lines != sorted((line.line_id, line.amount_minor) for line in planned.lines):
                    faults.append(f"{invoice.invoice_id} has the lines {lines}")
                if (invoice.status, invoice.total) != ("open", planned.total_minor):
                    faults.append(f"{invoice.invoice_id} is {invoice.status} with {invoice.total}")
        if len(there) != case.periods:
            faults.append(f"{len(there)} invoices of {customer} in all")
    return faults


def lane(cases: Sequence[Case], control_url: str, store: Path, defence: str) -> list[dict[str, Any]]:
    """Settle some cases, one after the other, against a Stripe of their own; then look at it."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    parent = os.getpid()
    server = os.fork()
    if server == 0:
        serve(listener, store, parent)
    listener.close()
    try:
        # Once in this process: what libraries load when they are first used need not be loaded by every child.
        push_once(Case("warm", "", "", "no"), 0, address, control_url, "")
        gc.collect()
        gc.freeze()
        found = [settle(case, address, control_url, defence) for case in cases]
        with urlopen(address + HITS_PATH) as answer:  # noqa: S310 - our own server
            hits = json.load(answer)
        gateway = StripeGateway("sk_test_looking", address)
        return [
            {"case": case.name, **each, "hits": hits.get(case.name, 0), "faults": in_stripe(gateway, case)}
            for case, each in zip(cases, found, strict=True)
        ]
    finally:
        os.kill(server, signal.SIGKILL)
        os.waitpid(server, 0)


def main(orders: dict[str, Any]) -> None:
    """Fork the lanes and wait for them; a line of JSON per case on stdout."""
    plan.LINES_PER_REQUEST = LINES_PER_REQUEST
    cases = [Case(**each) for each in orders["cases"]]
    urls: list[str] = orders["control_urls"]
    folder = Path(orders["folder"])
    lanes = []
    for number, url in enumerate(urls):
        child = os.fork()
        if child == 0:
            try:
                found = lane(
                    cases[number :: len(urls)], url, folder / f"stripe-{number}.sqlite", orders["defence"]
                )
                text = "".join(f"{json.dumps(each)}\n" for each in found)
                (folder / f"found-{number}.jsonl").write_text(text)
            except BaseException:  # noqa: BLE001 - as above
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        lanes.append(child)
    failed = sum(os.waitpid(child, 0)[1] != 0 for child in lanes)
    if failed:
        sys.exit(f"{failed} lanes failed")


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))

"""Closes of a home that end without a word: `killed_close.py THROUGH MOMENT NUMBER …`, started by test_crash.

Each MOMENT and NUMBER make one close, one after the other, each in a process of its own. It dies just before (`before
NAME`) or just after (`after NAME`) the named call is made for the NUMBERth time; or, for the moment `seconds`, after
NUMBER of them wherever it is. What it prints is a line for each: the signal that ended it, or 0.

Python starts once and is forked for each close: nothing but imports has happened by then.
"""

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

from billing_pipeline.cli import billing
from billing_pipeline.definitions import defs
from billing_pipeline.ingest.sqlite_queue import SqliteQueue
from billing_pipeline.invoicing.stripe.gateway import StripeGateway
from billing_pipeline.lake.iceberg import Lake
from billing_pipeline.pipeline import Pipeline

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS: dict[str, tuple[type, str]] = {
    "append": (Lake, "append"),
    "replace": (Lake, "replace"),
    "commit": (SqliteQueue, "commit"),
    "record": (Pipeline, "record"),
    "create_invoice": (StripeGateway, "create_invoice"),
    "add_lines": (StripeGateway, "add_lines"),
    "finalize_invoice": (StripeGateway, "finalize_invoice"),
}


def die() -> None:
    """End as if the power had failed, as far as this process is concerned."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(moment: str, number: int) -> None:
    """Let the named call end this process."""
    side, _, name = moment.partition(" ")
    owner, method = CALLS[name]
    call: Callable[..., Any] = getattr(owner, method)
    made = 0

    def fatal(*arguments: object, **named: object) -> object:
        nonlocal made
        made += 1
        if made == number and side == "before":
            die()
        result = call(*arguments, **named)
        if made == number:
            die()
        return result

    setattr(owner, method, fatal)


def close(through: str, moment: str, number: str) -> None:
    """Close in this process, which dies at the moment."""
    if moment == "seconds":
        threading.Timer(float(number), die).start()
    else:
        die_at(moment, int(number))
    billing.main(["close", "--through", through], standalone_mode=False)
    os._exit(0)  # without waiting for the timer


if __name__ == "__main__":
    through, *moments = sys.argv[1:]
    defs()
    for moment, number in zip(moments[::2], moments[1::2], strict=True):
        process_id = os.fork()
        if process_id == 0:
            close(through, moment, number)
        _, status = os.waitpid(process_id, 0)
        sys.stdout.write(f"{os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)}\n")

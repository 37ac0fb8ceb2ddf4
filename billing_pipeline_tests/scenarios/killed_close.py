"""A `billing close` that kills itself without a word: `killed_close.py THROUGH MOMENT NUMBER`, started by test_crash.

MOMENT is the name of a call; the process dies just before (`before NAME`) or just after (`after NAME`) it is made for
the NUMBERth time. Or it is `seconds`, after NUMBER of which it dies wherever it is. It prints how long the close took
where it lived.
"""

import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from billing_pipeline.cli import billing
from billing_pipeline.definitions import defs
from billing_pipeline.ingest.sqlite_queue import SqliteQueue
from billing_pipeline.invoicing.stripe_gateway import StripeGateway
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


if __name__ == "__main__":
    through, moment, number = sys.argv[1:]
    defs()
    if moment == "seconds":
        threading.Timer(float(number), die).start()
    else:
        die_at(moment, int(number))
    started = time.monotonic()
    billing.main(["close", "--through", through], standalone_mode=False)
    sys.stdout.write(f"took {time.monotonic() - started}\n")
    sys.stdout.flush()
    os._exit(0)  # without waiting for the timer

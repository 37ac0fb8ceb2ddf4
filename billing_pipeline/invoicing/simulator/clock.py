"""The simulator's clock: the computer's plus an offset that its store keeps, so that a rehearsal can let days pass."""

from datetime import UTC, datetime
from typing import Any

from billing_pipeline.invoicing.simulator.api_error import ApiError
from billing_pipeline.invoicing.simulator.call import Call, endpoint
from billing_pipeline.invoicing.simulator.store import Transaction

MAX_ADVANCE_SECONDS = 10 * 366 * 86_400
_OFFSET = "clock_offset_seconds"


def clock_offset_seconds(transaction: Transaction) -> int:
    """How far the simulator is ahead of the computer."""
    return transaction.setting(_OFFSET, 0)


def advance_clock(transaction: Transaction, seconds: int) -> None:
    """Let time pass.

    Raises:
        ApiError: it would go back, or absurdly far on.
    """
    if not 0 <= seconds <= MAX_ADVANCE_SECONDS:
        raise ApiError(
            f"The clock goes on by 0 to {MAX_ADVANCE_SECONDS} seconds; it never goes back.",
            param="advance_seconds",
            keep=False,
        )
    transaction.set_setting(_OFFSET, clock_offset_seconds(transaction) + seconds)


def retrieve_clock(call: Call) -> dict[str, Any]:
    """What the simulator thinks it is."""
    return _clock(call.transaction, call.now)


def post_clock(call: Call) -> dict[str, Any]:
    """Let time pass: meter events get counted, idempotency keys forgotten.

    Raises:
        ApiError: neither or both of the parameters, or back in time.
    """
    parameters = call.parameters
    if len(parameters) != 1:
        raise ApiError("Give advance_seconds or to.", param="advance_seconds", keep=False)
    seconds: int = (
        parameters["advance_seconds"] if "advance_seconds" in parameters else parameters["to"] - call.now
    )
    advance_clock(call.transaction, seconds)
    return _clock(call.transaction, call.now + seconds)


def _clock(transaction: Transaction, now: int) -> dict[str, Any]:
    return {
        "object": "simulator.clock",
        "now": now,
        "now_utc": datetime.fromtimestamp(now, UTC).isoformat(),
        "offset_seconds": clock_offset_seconds(transaction),
    }


ENDPOINTS = (
    endpoint("GET", "/simulator/clock", "simulator.ClockRetrieveParams", "", retrieve_clock),
    endpoint("POST", "/simulator/clock", "simulator.ClockAdvanceParams", "advance_seconds to", post_clock),
)

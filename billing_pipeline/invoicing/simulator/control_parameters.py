"""Parameters of the simulator's own endpoints, in the form that the SDK has for Stripe's."""

from typing import NotRequired, TypedDict


class ClockRetrieveParams(TypedDict):
    """`GET /simulator/clock`."""


class ClockAdvanceParams(TypedDict):
    """`POST /simulator/clock`: seconds to go on by, or the second since 1970 to go on to."""

    advance_seconds: NotRequired[int]
    to: NotRequired[int]

"""Parameters that the SDK has no type for: those of the simulator's own endpoints, and of the pages of a list."""

from typing import NotRequired, TypedDict

from stripe.params.v2.core import EventListParams as SdkEventListParams
from stripe.params.v2.core import EventListParamsCreated

__all__ = ["ClockAdvanceParams", "ClockRetrieveParams", "EventListParams", "EventListParamsCreated"]


class ClockRetrieveParams(TypedDict):
    """`GET /simulator/clock`."""


class ClockAdvanceParams(TypedDict):
    """`POST /simulator/clock`: seconds to go on by, or the second since 1970 to go on to."""

    advance_seconds: NotRequired[int]
    to: NotRequired[int]


class EventListParams(SdkEventListParams):
    """`GET /v2/core/events`: the SDK's, and where the next page begins, which it takes from the answer before."""

    page: NotRequired[str]

"""Lists with paging, as every list endpoint of Stripe has them."""

from collections.abc import Iterable
from itertools import islice
from typing import Any

from billing_pipeline.invoicing.simulator.api_error import ApiError, no_such

MAX_LIMIT = 100
DEFAULT_LIMIT = 10


def page(objects: Iterable[dict[str, Any]], parameters: dict[str, Any], url: str) -> dict[str, Any]:
    """The page of `objects` (in list order) that `limit` and `starting_after` ask for.

    Raises:
        ApiError: a limit out of range, or a cursor that is not in the list.
    """
    limit = parameters.get("limit", DEFAULT_LIMIT)
    if not 1 <= limit <= MAX_LIMIT:
        raise ApiError(f"Invalid limit: must be between 1 and {MAX_LIMIT}", param="limit")
    rest = iter(objects)
    cursor = parameters.get("starting_after")
    if cursor is not None and not any(found["id"] == cursor for found in rest):
        raise no_such("object", cursor, "starting_after", status=400)
    found = list(islice(rest, limit + 1))
    return {"object": "list", "data": found[:limit], "has_more": len(found) > limit, "url": url}


def created_within(found: dict[str, Any], created: dict[str, int] | int | None) -> bool:
    """Whether the object passes the `created` filter: a second, or bounds by gt, gte, lt, lte."""
    if created is None:
        return True
    second = int(found["created"])
    if isinstance(created, int):
        return second == created
    return (
        second > created.get("gt", -1)
        and second >= created.get("gte", 0)
        and ("lt" not in created or second < created["lt"])
        and ("lte" not in created or second <= created["lte"])
    )

"""Lists with paging, as every list endpoint of Stripe has them."""

from collections.abc import Iterable
from itertools import islice
from typing import Any

from billing_pipeline.invoicing.simulator.api_error import ApiError, no_such

MAX_LIMIT = 100
DEFAULT_LIMIT = 10


def page(objects: Iterable[dict[str, Any]], parameters: dict[str, Any], url: str) -> dict[str, Any]:
    """The page of `objects` (in list order) that `limit` and `starting_after` or `ending_before` ask for.

    Raises:
        ApiError: a limit out of range, two cursors, or one that is not in the list.
    """
    limit = parameters.get("limit", DEFAULT_LIMIT)
    if not 1 <= limit <= MAX_LIMIT:
        raise ApiError(f"Invalid limit: must be between 1 and {MAX_LIMIT}", param="limit")
    after, before = parameters.get("starting_after"), parameters.get("ending_before")
    if after is not None and before is not None:
        raise ApiError("Give starting_after or ending_before, not both.", param="ending_before")
    if before is not None:
        return _page_before(list(objects), before, limit, url)
    rest = iter(objects)
    if after is not None and not any(found["id"] == after for found in rest):
        raise no_such("object", after, "starting_after", status=400)
    found = list(islice(rest, limit + 1))
    return {"object": "list", "data": found[:limit], "has_more": len(found) > limit, "url": url}


def _page_before(objects: list[dict[str, Any]], cursor: str, limit: int, url: str) -> dict[str, Any]:
    ids = [found["id"] for found in objects]
    if cursor not in ids:
        raise no_such("object", cursor, "ending_before", status=400)
    earlier = objects[: ids.index(cursor)]
    return {"object": "list", "data": earlier[-limit:], "has_more": len(earlier) > limit, "url": url}


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

"""The review queue, limits and stops over HTTP."""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.routing import Route

from billing_pipeline.contract.instants import instant_us
from billing_pipeline.control.clock import now_us
from billing_pipeline.errors import GuardRequestError
from billing_pipeline.gateway.desk import who_of
from billing_pipeline.gateway.desk_endpoint import Call, DeskEndpoint, Handler
from billing_pipeline.gateway.gateway import Gateway
from billing_pipeline.gateway.review_bodies import (
    DecisionAsked,
    LimitAsked,
    LimitsAsked,
    LimitUnset,
    ReviewsAsked,
    StopAsked,
    StopLifted,
    StopsAsked,
)
from billing_pipeline.guardrails.checking import check
from billing_pipeline.guardrails.commands import DecideReview, Lift, SetLimit, Stop
from billing_pipeline.guardrails.nano import LARGEST_AMOUNT
from billing_pipeline.guardrails.review.limits_set import set_limits
from billing_pipeline.guardrails.review.page import Page
from billing_pipeline.guardrails.review.queue import review, reviews
from billing_pipeline.guardrails.review.shown import Document, document
from billing_pipeline.guardrails.review.stops import stops_in_force
from billing_pipeline.guardrails.review.surroundings import surroundings


async def list_reviews(call: Call) -> Document:
    """Items, the newest first."""
    asked = call.query(ReviewsAsked)

    def read() -> Page[Any]:
        return reviews(
            call.desk.control,
            asked.state,
            customers=_customers(call, asked.customer),
            after=asked.after,
            rows=asked.rows,
        )

    return document(await run_in_threadpool(read))


async def show_review(call: Call) -> Document:
    """An item with what was going on around it."""

    def read() -> Document:
        item = review(call.desk.control, call.path["review_id"], call.customers)
        around = surroundings(call.desk.control, item, now_us())
        return {"review": document(item), "surroundings": document(around)}

    return await run_in_threadpool(read)


async def decide(call: Call) -> Document:
    """Carry out a decision; the item as it is then."""
    asked = await call.body(DecisionAsked)
    control, review_id = call.desk.control, call.path["review_id"]
    await run_in_threadpool(review, control, review_id, call.customers)
    command = DecideReview(
        review_id=review_id,
        decision=asked.decision,
        who=who_of(call.key, asked.who),
        why=asked.why,
        amount=_nano(asked.amount),
    )
    await call.desk.submit(command)
    return {"review": document(await run_in_threadpool(review, control, review_id, call.customers))}


async def list_limits(call: Call) -> Document:
    """What was set, and for one customer all that is in force."""
    asked = call.query(LimitsAsked)
    desk = call.desk

    def read() -> Document:
        customers = _customers(call, asked.customer)
        found = set_limits(desk.control, customers=customers, rows=asked.rows)
        in_force: tuple[Any, ...] = ()
        if asked.customer is not None and customers:
            in_force = desk.limits_of(asked.customer)
        return {"set": [document(row) for row in found.rows], "in_force": [document(row) for row in in_force]}

    return await run_in_threadpool(read)


async def set_limit(call: Call) -> Document:
    """Set a limit for one scope."""
    asked = await call.body(LimitAsked)
    return await _limit(call, asked, _nano(asked.amount), inherit=False)


async def unset_limit(call: Call) -> Document:
    """Let the plan's limit hold again."""
    return await _limit(call, call.query(LimitUnset), None, inherit=True)


async def list_stops(call: Call) -> Document:
    """Kill switches and pauses in force."""
    asked = call.query(StopsAsked)

    def read() -> Page[Any]:
        return stops_in_force(call.desk.control, customers=_customers(call, asked.customer), rows=asked.rows)

    return document(await run_in_threadpool(read))


async def set_stop(call: Call) -> Document:
    """Deny everything in a scope."""
    asked = await call.body(StopAsked)
    resumes_at = None
    if asked.resumes_at is not None:
        resumes_at = instant_us(asked.resumes_at)
        if resumes_at is None or resumes_at <= now_us() or asked.kind == "kill":
            raise GuardRequestError(
                "resumes_at", asked.resumes_at, "give an instant to come, and only with a pause"
            )
    command = Stop(
        scope=asked.scope,
        kind=asked.kind,
        who=who_of(call.key, asked.who),
        why=asked.why,
        resumes_at=resumes_at,
    )
    check(command)
    call.check_scope(command.scope)
    return document(await call.desk.submit(command))


async def lift_stop(call: Call) -> Document:
    """Take a stop back."""
    asked = call.query(StopLifted)
    command = Lift(scope=asked.scope, kind=asked.kind, who=who_of(call.key, asked.who), why=asked.why)
    check(command)
    call.check_scope(command.scope)
    return document(await call.desk.submit(command))


def review_routes(gateway: Gateway) -> list[Route]:
    """All of them."""
    table: tuple[tuple[str, str, Handler], ...] = (
        ("GET", "/v1/reviews", list_reviews),
        ("GET", "/v1/reviews/{review_id}", show_review),
        ("POST", "/v1/reviews/{review_id}/decision", decide),
        ("GET", "/v1/limits", list_limits),
        ("PUT", "/v1/limits", set_limit),
        ("DELETE", "/v1/limits", unset_limit),
        ("GET", "/v1/stops", list_stops),
        ("POST", "/v1/stops", set_stop),
        ("DELETE", "/v1/stops", lift_stop),
    )
    return [Route(path, DeskEndpoint(gateway, handler), methods=[method]) for method, path, handler in table]


async def _limit(
    call: Call, asked: LimitAsked | LimitUnset, amount: int | None, *, inherit: bool
) -> Document:
    command = SetLimit(
        scope=asked.scope,
        currency=asked.currency,
        window=asked.window,
        severity=asked.severity,
        amount=amount,
        inherit=inherit,
        who=who_of(call.key, asked.who),
        why=asked.why,
    )
    check(command)
    call.check_scope(command.scope)
    return document(await call.desk.submit(command))


def _customers(call: Call, customer: str | None) -> frozenset[str] | None:
    """Whose rows are shown: the customer that is asked for, as far as the key may see it."""
    if customer is None:
        return call.customers
    return frozenset({customer}) if call.customers is None else call.customers & {customer}


def _nano(text: str | None) -> int | None:
    if text is None:
        return None
    if int(text) > LARGEST_AMOUNT:
        raise GuardRequestError("amount", text, f"give at most {LARGEST_AMOUNT} nano-units")
    return int(text)

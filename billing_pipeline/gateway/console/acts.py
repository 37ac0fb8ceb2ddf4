"""What forms of the console have the ledger do; each answers what to say, and where to go on."""

from collections.abc import Awaitable, Callable
from typing import cast, get_args

from starlette.concurrency import run_in_threadpool

from billing_pipeline.control.clock import now_us
from billing_pipeline.errors import GuardRequestError
from billing_pipeline.gateway.console.layout import ROOT
from billing_pipeline.gateway.console.visit import Visit
from billing_pipeline.gateway.console.words import money
from billing_pipeline.guardrails.checking import check
from billing_pipeline.guardrails.commands import DecideReview, Lift, SetLimit, Stop, StopKind
from billing_pipeline.guardrails.review.amounts import nano_of
from billing_pipeline.guardrails.review.queue import review
from billing_pipeline.guardrails.terms import Severity
from billing_pipeline.guardrails.window import Window

Act = Callable[[Visit], Awaitable[str]]
"""Returns what to say."""

_MINUTE_US = 60_000_000
_MINUTES_MOST = 525_600
_DECISIONS = {"resume": "Resumed", "keep": "Left as it is", "raise_limit": "Limit raised"}


async def decide(visit: Visit) -> str:
    """Decide a review item.

    Raises:
        GuardError: it is not possible.
    """
    item = await run_in_threadpool(review, visit.desk.control, visit.path["review_id"], visit.customers)
    decision, text = visit.form.get("decision", ""), visit.form.get("amount", "").strip()
    if decision not in _DECISIONS:
        raise GuardRequestError("decision", decision, "choose one of the buttons")
    amount = None
    if decision == "raise_limit":
        if not text:
            raise GuardRequestError("amount", text, "write the new limit")
        amount = nano_of(text)
    command = DecideReview(
        review_id=item.review_id,
        decision=decision,  # type: ignore[arg-type]  # one of them, as looked up above
        who=visit.who,
        why=visit.form.get("why", "").strip(),
        amount=amount,
    )
    await visit.desk.submit(command)
    to = "" if amount is None else f" to {money(amount, item.currency)}"
    return f"{_DECISIONS[decision]}{to}: {item.scope}"


async def stop(visit: Visit) -> str:
    """Set a kill switch or a pause.

    Raises:
        GuardError: it is not possible.
        RequestRefusedError: the key may not.
    """
    form = visit.form
    kind, text = _one_of("kind", form.get("kind", ""), get_args(StopKind)), form.get("minutes", "").strip()
    resumes_at = None
    if text and kind == "pause":
        if not (text.isascii() and text.isdecimal() and 0 < int(text[:9]) <= _MINUTES_MOST):
            raise GuardRequestError("minutes", text, f"give 1 to {_MINUTES_MOST}, or nothing")
        resumes_at = now_us() + int(text) * _MINUTE_US
    command = Stop(
        scope=form.get("scope", "").strip(),
        kind=cast("StopKind", kind),
        who=visit.who,
        why=form.get("why", "").strip(),
        resumes_at=resumes_at,
    )
    check(command)
    visit.check_scope(command.scope)
    done = await visit.desk.submit(command)
    return f"{'Stopped' if done.changed else 'It was stopped before'}: {command.scope}"


async def lift(visit: Visit) -> str:
    """Take a stop back.

    Raises:
        GuardError: it is not possible.
        RequestRefusedError: the key may not.
    """
    form = visit.form
    command = Lift(
        scope=form.get("scope", ""),
        kind=cast("StopKind", _one_of("kind", form.get("kind", ""), get_args(StopKind))),
        who=visit.who,
        why=form.get("why", "").strip(),
    )
    check(command)
    visit.check_scope(command.scope)
    done = await visit.desk.submit(command)
    return f"{'Lifted' if done.changed else 'It was lifted before'}: {command.kind} of {command.scope}"


async def set_limit(visit: Visit) -> str:
    """Set a limit for one scope, or let the plan's hold again.

    Raises:
        GuardError: it is not possible.
        RequestRefusedError: the key may not.
    """
    form = visit.form
    inherit, text = form.get("do") == "unset", form.get("amount", "").strip()
    command = SetLimit(
        scope=form.get("scope", "").strip(),
        currency=form.get("currency", "").strip().lower(),
        window=cast("Window", _one_of("window", form.get("window", ""), get_args(Window))),
        severity=cast("Severity", _one_of("severity", form.get("severity", ""), get_args(Severity))),
        amount=None if inherit or not text else nano_of(text),
        inherit=inherit,
        who=visit.who,
        why=form.get("why", "").strip(),
    )
    check(command)
    visit.check_scope(command.scope)
    done = await visit.desk.submit(command)
    is_now = (
        "the plan's"
        if inherit
        else "none"
        if command.amount is None
        else money(command.amount, command.currency)
    )
    said = f"{command.severity} limit of {command.scope} by the {command.window} is {is_now}"
    return said if done.changed else f"{said}, as before"


def back_of(visit: Visit, *, default: str = ROOT) -> str:
    """Where to go on: the page that the form stood on, and never elsewhere than on the console."""
    return safe_path(visit.form.get("back", ""), default)


def safe_path(path: str, default: str = ROOT) -> str:
    """The path, if it is one of the console's own."""
    is_own = path == ROOT or path.startswith((f"{ROOT}/", f"{ROOT}?"))
    return path if is_own and path.isprintable() and path.isascii() and "\\" not in path else default


def _one_of(name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise GuardRequestError(name, value, f"choose one of {', '.join(known)}")
    return value

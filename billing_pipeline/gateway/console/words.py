"""How amounts, instants and facts of the guard are said on the console."""

from billing_pipeline.contract.instants import datetime_of, instant_us
from billing_pipeline.guardrails.nano import NANO, nano_words
from billing_pipeline.guardrails.review.activity import DenialShown
from billing_pipeline.guardrails.review.queue import Review

_DIGITS = 30
_COUNTED_RULES = frozenset(
    {"session_steps", "session_rate", "session_duration", "identical_calls", "breaker_open"}
)
"""Whose limit is no money."""
_AMOUNTS = frozenset(
    {"limit", "used", "asked", "left", "amount", "overdraft", "spent", "observed", "expected", "threshold"}
)
_INSTANTS = frozenset({"window_starts_at", "since"})
_UNSAID = frozenset({"scope", "severity", "rule", "why"})
_RULES = {
    "session_steps": "took more steps than a session may",
    "session_spend": "spent more than a session may",
    "session_rate": "took steps faster than a session may",
    "session_duration": "ran longer than a session may",
    "identical_calls": "made the same call again and again",
    "overdraft": "spent more than its hold and all credit",
}
KINDS = {
    "soft_limit": "Soft limit reached",
    "breaker": "Session stopped",
    "velocity": "Paused: spending too fast",
    "overdraft": "Stopped: overdraft",
    "kill": "Kill switch",
}


def money(nano: int, currency: str) -> str:
    """`1,234.50 USD`."""
    number, _, code = nano_words(abs(nano), currency).partition(" ")
    whole, _, digits = number.partition(".")
    return f"{'-' if nano < 0 else ''}{int(whole):,}.{digits} {code}"


def short_money(nano: int, currency: str) -> str:
    """As `money`, to the cent where that says enough: `468.54 USD`, but `0.0032 USD`. Rounded half away from zero."""
    digits = 2 if abs(nano) >= NANO or not nano else 4
    unit = 10 ** (9 - digits)
    rounded = (2 * abs(nano) + unit) // (2 * unit) * unit
    return (
        money(rounded if nano > 0 else -rounded, currency) if rounded or not nano else money(nano, currency)
    )


def moment(at_us: int) -> str:
    """`28 Nov 12:00:30`, in UTC."""
    return f"{datetime_of(at_us):%d %b %H:%M:%S}"


def full_moment(at_us: int) -> str:
    """`2026-11-28T12:00:30Z`."""
    return f"{datetime_of(at_us):%Y-%m-%dT%H:%M:%SZ}"


def stretch(us: int) -> str:
    """A stretch of time, roughly: `12 s`, `7 min`, `3 h`, `2 d`."""
    seconds = max(us, 0) // 1_000_000
    for most, length, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < most:
            return f"{seconds // length} {unit}"
    return f"{seconds // 86_400} d"


def sentence(item: Review) -> str:
    """What happened, in one sentence."""
    evidence = item.evidence
    why, rule = evidence.get("why"), str(evidence.get("rule", ""))
    if isinstance(why, str) and why:
        return why
    if item.kind == "soft_limit":
        used = value_words("used", evidence.get("used"), rule, item.currency)
        limit = value_words("limit", evidence.get("limit"), rule, item.currency)
        return f"{used} used of {limit} by the {evidence.get('window', 'window')}"
    return _RULES.get(rule, rule or "no reason was written")


def evidence_words(item: Review) -> list[tuple[str, str]]:
    """The evidence by name, in the words of people; what the plot shows is left out."""
    rule = str(item.evidence.get("rule", ""))
    return [
        (name.replace("_", " "), value_words(name, value, rule, item.currency))
        for name, value in item.evidence.items()
        if name not in _UNSAID and value is not None and not isinstance(value, list | dict)
    ]


def value_words(name: str, value: object, rule: str, currency: str) -> str:
    """One value of the evidence."""
    text = str(value)
    is_number = text.removeprefix("-").isdecimal() and text.isascii() and len(text) < _DIGITS
    if name in _AMOUNTS and is_number and not (rule in _COUNTED_RULES and name in {"limit", "left"}):
        return money(int(text), currency)
    if name in _INSTANTS:
        at_us = int(text) if is_number else instant_us(text)
        if at_us is not None and 0 <= at_us < 1 << 57:
            return full_moment(at_us)
    return text


def limit_words(item: Review) -> str:
    """What is set where its limit is raised: `New limit by the minute, USD`."""
    windows = {"velocity": "minute", "breaker": "session"}
    window = windows.get(item.kind, str(item.evidence.get("window", "day")))
    return f"New limit by the {window}, {item.currency.upper()}"


def left_words(denial: DenialShown) -> str:
    """What was left of what the rule allows, where it knows a number."""
    if denial.left is None or denial.limit is None:
        return "-"
    if denial.rule in _COUNTED_RULES:
        return f"{denial.left:,} of {denial.limit:,}"
    return f"{short_money(denial.left, denial.currency)} of {short_money(denial.limit, denial.currency)}"

"""Reads the section `close_policy`: when a day closes and what happens to what comes later."""

from collections.abc import Sequence
from typing import cast, get_args

from billing_pipeline.rating.document import Field
from billing_pipeline.rating.rule_book import ClosePolicy, ConflictPolicy, LatePolicy, RuleBook

GRACE_MINUTES_MOST = 72 * 60
DAYS_MOST = 36_500


def read_close_policy(field: Field) -> ClosePolicy:
    """The close policy; what is left out is as in `ClosePolicy`."""
    default = ClosePolicy()
    keys = field.mapping(
        optional=("grace_minutes", "late_window_days", "late_policy", "dedup_window_days", "conflict_policy")
    )
    grace_minutes, late_window_days = default.grace_minutes, default.late_window_days
    if "grace_minutes" in keys:
        grace_minutes = keys["grace_minutes"].whole(least=0, most=GRACE_MINUTES_MOST)
    if "late_window_days" in keys:
        late_window_days = keys["late_window_days"].whole(least=0, most=DAYS_MOST)
    dedup_window_days = None
    if "dedup_window_days" in keys:
        dedup_window_days = keys["dedup_window_days"].whole(least=1, most=DAYS_MOST)
        least = _dedup_days_least(late_window_days, grace_minutes)
        if dedup_window_days < least:
            keys["dedup_window_days"].fault(_too_short(dedup_window_days, least))
    late_policy, conflict_policy = default.late_policy, default.conflict_policy
    if "late_policy" in keys:
        late_policy = cast("LatePolicy", keys["late_policy"].choice(get_args(LatePolicy)))
    if "conflict_policy" in keys:
        conflict_policy = cast("ConflictPolicy", keys["conflict_policy"].choice(get_args(ConflictPolicy)))
    return ClosePolicy(grace_minutes, late_window_days, late_policy, dedup_window_days, conflict_policy)


def compare_dedup_window(root: Field, book: RuleBook, earlier: Sequence[RuleBook]) -> None:
    """Note a dedup window that is too short for usage of days under earlier versions, late by their windows."""
    window = book.close_policy.dedup_window_days
    policies = [each.close_policy for each in (*earlier, book)]
    least = _dedup_days_least(
        max(policy.late_window_days for policy in policies), max(policy.grace_minutes for policy in policies)
    )
    if window is not None and window < least:
        policy = root.child("close_policy")
        field = policy.child("dedup_window_days") if policy else None
        if field:
            field.fault(
                f"{_too_short(window, least)}; earlier versions, whose usage may still come, are counted in"
            )


def _dedup_days_least(late_window_days: int, grace_minutes: int) -> int:
    """What of a usage day may still come is compared with everything received since the first of it could come."""
    return late_window_days + -(-grace_minutes // (24 * 60)) + 1


def _too_short(dedup_window_days: int, least: int) -> str:
    return (
        f"{dedup_window_days} is too short to know an event again; give at least {least}"
        " (late window + grace in whole days + 1) or leave it out for no limit"
    )

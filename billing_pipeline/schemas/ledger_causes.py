"""Why the guard's ledger and the meter may differ on a usage day: the words of `ledger_reconciliation`."""

CAUSES = {
    "unguarded": "usage in the log that the guard was never asked for",
    "late": "the same, but it came after the day had closed",
    "corrected": "corrections of the day's events, whenever they came",
    "conflicting": "the log has counted other content under the identity of an event that the guard sent",
    "not_metered_yet": "events of settled holds that the log does not count (not yet, or it rejected them)",
    "settled_by_amount": "holds settled at an amount, without usage: no event stands for them",
    "repriced": "what settled usage costs by what is known of the contract now, less what it did at its settle",
    "tier_position": "what usage costs within its period's tiers, less what the guard takes each event to cost",
    "discount": "discounts, coupons and maximums of the plan, and its free trial",
    "rounding": "the rounding of lines to the currency's minor unit, and of events to nano-units",
    "unexplained": "none of these: a fault",
}
"""Every cause, in the order in which they are shown, with its meaning."""

"""Which invoice periods a name means, for customers of any anchor day."""

from datetime import date

import pytest

from billing_pipeline.contract.registry import Registry, RegistryChange
from billing_pipeline.errors import NoInvoicePeriodError
from billing_pipeline.invoicing.period_close.named import NamedPeriod, periods_named

SINCE = date(2026, 1, 1)


def _registry(**anchor_days: int) -> Registry:
    return Registry(
        [
            RegistryChange("customer", name, "register", SINCE, {"anchor_day": anchor_day})
            for name, anchor_day in anchor_days.items()
        ]
    )


def test_a_month_names_the_periods_that_start_in_it() -> None:
    """A calendar customer's ends with the month, that of another anchor day in the next one."""
    assert periods_named(_registry(calendar=1, mid=15), "2026-10") == [
        NamedPeriod("calendar", date(2026, 10, 1), date(2026, 10, 31)),
        NamedPeriod("mid", date(2026, 10, 15), date(2026, 11, 14)),
    ]


def test_a_day_names_the_periods_that_start_on_it() -> None:
    """And nobody else's."""
    found = periods_named(_registry(calendar=1, mid=15), "2026-10-15")
    assert found == [NamedPeriod("mid", date(2026, 10, 15), date(2026, 11, 14))]


def test_anchor_days_clamp_to_the_end_of_a_month() -> None:
    """An anchor day of 31 starts on the last of February."""
    assert periods_named(_registry(late=31), "2026-02") == [
        NamedPeriod("late", date(2026, 2, 28), date(2026, 3, 30))
    ]


def test_what_is_no_period_is_refused() -> None:
    """With what a name looks like."""
    with pytest.raises(NoInvoicePeriodError):
        periods_named(_registry(a=1), "October")

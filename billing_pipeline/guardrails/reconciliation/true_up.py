"""The true-up of an account: what the ledger lacks, or has too much, of what was invoiced. Pure."""

from datetime import date
from typing import NamedTuple


class AccountFigures(NamedTuple):
    """One account from the first invoice period that the guard took part in to the one that ends now. Nano-units.

    Attributes:
        first_period: the start of that first period.
        invoiced: what the invoices of these periods come to before credits, adjustments included.
        settled: holds granted in these periods, whenever they were settled.
        booked: true-ups of these periods but the last.
        spent: what the account has spent by now, in periods after these too.
    """

    customer_id: str
    currency: str
    first_period: date
    period: date
    invoiced: int = 0
    settled: int = 0
    booked: int = 0
    spent: int = 0

    @property
    def amount(self) -> int:
        """What brings the ledger to the invoices. What holds of earlier periods were settled at since is in it.

        Never more is taken back than was spent; what is left of it the next true-up takes.
        """
        return max(self.invoiced - self.settled - self.booked, -self.spent)

    @property
    def reference(self) -> str:
        """What makes it once per period."""
        return self.period.isoformat()

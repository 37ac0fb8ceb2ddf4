"""What a ledger goes by that only carries out operators' commands: nothing is reserved or priced through it."""

from collections.abc import Sequence

from billing_pipeline.errors import UnpricedUsageError
from billing_pipeline.guardrails.terms import NoTerms
from billing_pipeline.guardrails.usage import Usage


class OperatorTerms:
    """A terms book by which nothing is granted."""

    def terms(self, customer_id: str, project_id: str, at_us: int) -> NoTerms:  # noqa: ARG002 - as the port has it
        """None, for anybody."""
        return NoTerms("unknown_customer", "this ledger takes operators' commands only")


class OperatorPrices:
    """A pricer that knows no price."""

    def estimate(self, customer_id: str, project_id: str, usage: Sequence[Usage], at_us: int) -> int:  # noqa: ARG002 - as the port has it
        """None.

        Raises:
            UnpricedUsageError: always.
        """
        raise UnpricedUsageError("usage", "ask the guard of `billing serve`, or one opened with prices")

    actual = estimate

"""The guard within a product's process, over the ledger of its control database."""

from concurrent.futures import CancelledError

from billing_pipeline.errors import GuardUnavailableError
from billing_pipeline.guardrails.answers import Answer
from billing_pipeline.guardrails.balance import BalanceReader, CustomerBalance
from billing_pipeline.guardrails.calling.asks import Ask
from billing_pipeline.guardrails.calling.calls import Calls
from billing_pipeline.guardrails.calling.held import WhenUnreachable
from billing_pipeline.guardrails.ports import Ledger
from billing_pipeline.guardrails.requests import Request

TIMEOUT_SECONDS = 30.0


class Guard(Calls):
    """Reserve before an action runs, settle at what it cost; for threads.

    Args:
        ledger: where requests go; `Pipeline.guard_ledger` opens one.
        balances: what `balance` reads; None where it is not asked for.
        when_unreachable: `closed`: a hold raises GuardUnavailableError. `open`: its action runs unguarded.
        timeout_seconds: after so long without an answer the guard counts as unreachable.
    """

    def __init__(
        self,
        ledger: Ledger,
        balances: BalanceReader | None = None,
        *,
        when_unreachable: WhenUnreachable = "closed",
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        super().__init__(Ask(self._carry), when_unreachable)
        self._ledger = ledger
        self._balances = balances
        self._timeout_seconds = timeout_seconds

    def balance(
        self, customer_id: str, *, project_id: str | None = None, session_id: str | None = None
    ) -> CustomerBalance:
        """What a customer has, and what is left of its limits, its project's and its session's.

        Raises:
            GuardUnavailableError: it cannot be read.
        """
        return readable(self._balances).balance(customer_id, project_id, session_id)

    def _carry(self, request: Request) -> Answer:
        future = self._ledger.submit(request)
        try:
            return future.result(self._timeout_seconds)
        except TimeoutError as error:
            future.cancel()  # what the writer has not begun is not done
            raise no_answer(self._timeout_seconds) from error
        except CancelledError as error:
            raise GuardUnavailableError("the guard's ledger was closed; nothing was moved") from error


def no_answer(timeout_seconds: float) -> GuardUnavailableError:
    """The ledger is too slow."""
    return GuardUnavailableError(
        f"no answer from the guard's ledger within {timeout_seconds:g} s: whether it was done is not known; ask again "
        "under the same idempotency key"
    )


def readable(balances: BalanceReader | None) -> BalanceReader:
    """The reader.

    Raises:
        GuardUnavailableError: there is none.
    """
    if balances is None:
        raise GuardUnavailableError("this guard was made without a reader of balances; give it one")
    return balances

"""A ledger in a dict, for what products call: it grants what a customer has, ends holds once, and knows keys."""

from concurrent.futures import Future
from typing import Any

from billing_pipeline.errors import GuardConflictError, HoldNotFoundError
from billing_pipeline.guardrails.answers import Answer, DenialRule, Denied, Ended, Extended, Granted
from billing_pipeline.guardrails.requests import Extend, Release, Reserve, Settle

START_US = 1_796_083_200_000_000  # 2026-12-01T00:00:00Z
PRICE = 1000
"""Nano-units of any unit of usage."""


class ToldLedger:
    """As `ports.Ledger`, without limits or sessions; tests look into `requests`, `open` and `available`."""

    def __init__(self, available: int = 500) -> None:
        self.available = available
        self.requests: list[Any] = []
        self.open: dict[str, Granted] = {}
        self.failures: list[Exception] = []
        """Raised by the next requests, one after the other."""
        self._answers: dict[tuple[str, ...], tuple[Any, Answer]] = {}
        self._made = 0

    def submit(self, request: Any) -> Future[Any]:
        """As the port."""
        self.requests.append(request)
        future: Future[Any] = Future()
        if self.failures:
            future.set_exception(self.failures.pop(0))
            return future
        try:
            future.set_result(self._once(request))
        except Exception as error:  # noqa: BLE001 - a ledger tells everything by its future
            future.set_exception(error)
        return future

    def _once(self, request: Any) -> Answer:
        of = request.customer_id if isinstance(request, Reserve) else request.hold_id
        key = (type(request).__name__, of, request.idempotency_key)
        if key in self._answers:
            before, answer = self._answers[key]
            if before != request:
                raise GuardConflictError("idempotency_conflict", "the key was used for another request")
            return answer
        answer = self._answer(request)
        self._answers[key] = request, answer
        return answer

    def _answer(self, request: Any) -> Answer:
        match request:
            case Reserve():
                return self._reserve(request)
            case Extend():
                hold = self._find(request.hold_id)
                return Extended(hold_id=hold.hold_id, expires_at=START_US + request.ttl_seconds * 1_000_000)
            case Settle():
                spent = cost_of(request)
                return self._end(request.hold_id, "settled", spent)
            case Release():
                return self._end(request.hold_id, "released", 0)
            case _:
                raise AssertionError(request)

    def _reserve(self, request: Reserve) -> Granted | Denied:
        asked = cost_of(request)
        if asked > self.available:
            return Denied(
                rule=DenialRule.CREDIT,
                scope=f"customer:{request.customer_id}",
                customer_id=request.customer_id,
                project_id=request.project_id,
                session_id=request.session_id,
                currency="usd",
                asked=asked,
                left=self.available,
            )
        self._made += 1
        self.available -= asked
        granted = Granted(
            hold_id=f"{self._made:032x}",
            customer_id=request.customer_id,
            project_id=request.project_id,
            session_id=request.session_id,
            currency="usd",
            amount=asked,
            granted_at=START_US,
            expires_at=START_US + (request.ttl_seconds or 600) * 1_000_000,
        )
        self.open[granted.hold_id] = granted
        return granted

    def _end(self, hold_id: str, state: Any, spent: int) -> Ended:
        hold = self._find(hold_id)
        del self.open[hold_id]
        self.available += hold.amount - spent
        return Ended(
            hold_id=hold_id,
            state=state,
            currency="usd",
            booked=spent,
            freed=max(hold.amount - spent, 0),
            overrun=max(spent - hold.amount, 0),
            ended_at=START_US,
        )

    def _find(self, hold_id: str) -> Granted:
        if hold_id in self.open:
            return self.open[hold_id]
        if any(
            isinstance(answer, Granted) and answer.hold_id == hold_id for _, answer in self._answers.values()
        ):
            raise GuardConflictError("hold_ended", f"hold {hold_id} has ended")
        raise HoldNotFoundError(hold_id)


def cost_of(request: Reserve | Settle) -> int:
    """The amount, or the price of the usage."""
    if request.amount is not None:
        return request.amount
    return sum(int(each.quantity) for each in request.usage) * PRICE

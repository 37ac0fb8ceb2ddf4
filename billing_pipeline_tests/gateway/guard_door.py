"""A gateway with a guard behind it, and what products ask of it."""

from typing import Any

import httpx2 as httpx
import msgspec

from billing_pipeline.access.scope import Right, Scope
from billing_pipeline.errors import GuardUnavailableError
from billing_pipeline.guardrails.balance import CustomerBalance, Funds
from billing_pipeline.guardrails.checking import check
from billing_pipeline_tests.guardrails.told_ledger import ToldLedger

USE = frozenset({Right.GUARD_USE})


class CheckedLedger(ToldLedger):
    """As the writer of this process, it refuses what is not possible before it takes it in."""

    def submit(self, request: Any) -> Any:
        """As the port."""
        check(request)
        return super().submit(request)


class ToldBalances:
    """What the ledger has, for any customer; holds are the ledger's."""

    def __init__(self, ledger: ToldLedger) -> None:
        self._ledger = ledger
        self.is_away = False

    def balance(self, customer_id: str, project_id: str | None, session_id: str | None) -> CustomerBalance:  # noqa: ARG002 - as the port
        """As the port."""
        if self.is_away:
            raise GuardUnavailableError("the control database cannot be read")
        funds = Funds(
            currency="usd",
            available=self._ledger.available,
            held=0,
            spent=0,
            overdraft=0,
            expired=0,
            granted=0,
        )
        return CustomerBalance(customer_id=customer_id, funds=(funds,), grants=(), limits=(), session=None)

    def customer_of(self, hold_id: str) -> str | None:
        """As the port."""
        found = self._ledger.open.get(hold_id)
        return None if found is None else found.customer_id


class GuardDoor:
    """A door with a guard, and a key that may use it."""

    def __init__(self, door: Any) -> None:
        self.door = door
        self.ledger = CheckedLedger()
        self.balances = ToldBalances(self.ledger)
        door.gateway.guard, door.gateway.balances = self.ledger, self.balances
        self.key = door.issue(Scope(USE))

    def ask(self, path: str, body: object, *, key: str | None = None, **headers: str) -> httpx.Response:
        """Post to a route of the guard; what is no bytes becomes JSON."""
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        sent = {
            "authorization": f"Bearer {self.key if key is None else key}",
            "content-type": "application/json",
        }
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        found: httpx.Response = self.door.client.post(f"/v1/{path}", content=content, headers=sent)
        return found

    def balance(self, query: str, *, key: str | None = None) -> httpx.Response:
        """Ask for a balance."""
        headers = {"authorization": f"Bearer {self.key if key is None else key}"}
        found: httpx.Response = self.door.client.get(f"/v1/balance?{query}", headers=headers)
        return found

    def reserve(self, amount: str | None = "75", **fields: object) -> httpx.Response:
        """Reserve for acme's project p, unless told otherwise."""
        body = {"customer_id": "acme", "project_id": "p", "amount": amount, "idempotency_key": "k"}
        return self.ask("reserve", body | fields)

"""One request to the console of somebody who is logged in."""

from dataclasses import dataclass, field

from billing_pipeline.access.api_key import ApiKey
from billing_pipeline.errors import RequestRefusedError
from billing_pipeline.gateway.console.sessions import Session
from billing_pipeline.gateway.desk import Desk, who_of
from billing_pipeline.gateway.request_code import RequestCode
from billing_pipeline.guardrails.scope import customer_of


@dataclass(frozen=True, slots=True)
class Visit:
    """What a page is made of, or a form asks for."""

    session: Session
    key: ApiKey
    desk: Desk
    path: dict[str, str]
    query: dict[str, str]
    form: dict[str, str] = field(default_factory=dict)

    @property
    def customers(self) -> frozenset[str] | None:
        """Whom the key may see and stop; None is everybody."""
        return self.key.scope.customers

    @property
    def who(self) -> str:
        """Who decides."""
        return who_of(self.key, self.session.who)

    def check_customer(self, customer_id: str) -> None:
        """Refuse a customer that the key may not see.

        Raises:
            RequestRefusedError: it may not.
        """
        if self.customers is not None and customer_id not in self.customers:
            raise RequestRefusedError(403, RequestCode.FORBIDDEN, "your API key is not for this customer")

    def check_scope(self, scope: str) -> None:
        """Refuse what belongs to a customer that the key may not touch.

        Raises:
            RequestRefusedError: it may not.
        """
        self.check_customer(customer_of(scope))

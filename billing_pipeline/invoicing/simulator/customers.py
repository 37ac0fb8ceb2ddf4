"""Customers, and the account they belong to."""

from typing import Any

from billing_pipeline.invoicing.simulator.api_error import no_such
from billing_pipeline.invoicing.simulator.call import Call, endpoint
from billing_pipeline.invoicing.simulator.listing import created_within, page
from billing_pipeline.invoicing.simulator.metadata import merged
from billing_pipeline.invoicing.simulator.store import Transaction

ACCOUNT_ID = "acct_simulator"
_EDITABLE = ("balance", "description", "email", "name")


def retrieve_account(_call: Call) -> dict[str, Any]:
    """The one account there is."""
    return {"id": ACCOUNT_ID, "object": "account", "country": "US", "default_currency": "usd"}


def create_customer(call: Call) -> dict[str, Any]:
    """A new customer; its balance is in the smallest unit, negative for credit."""
    parameters = call.parameters
    return call.transaction.insert(
        "customer",
        "cus",
        {
            "balance": parameters.get("balance", 0),
            "created": call.now,
            "currency": None,
            "description": parameters.get("description"),
            "email": parameters.get("email"),
            "invoice_prefix": f"SIM{call.transaction.next_number('invoice_prefix'):05d}",
            "livemode": False,
            "metadata": merged({}, parameters.get("metadata")),
            "name": parameters.get("name"),
            "next_invoice_sequence": 1,
        },
    )


def find_customer(
    transaction: Transaction, customer_id: str, *, param: str = "customer", status: int = 400
) -> dict[str, Any]:
    """The customer.

    Raises:
        ApiError: there is none of this id (any more).
    """
    customer = transaction.get("customer", customer_id)
    if customer is None or customer.get("deleted"):
        raise no_such("customer", customer_id, param, status=status)
    return customer


def retrieve_customer(call: Call) -> dict[str, Any]:
    """The customer; of a deleted one its id, and that it is deleted.

    Raises:
        ApiError: there never was one of this id.
    """
    customer = call.transaction.get("customer", call.object_id)
    if customer is None:
        raise no_such("customer", call.object_id, "id")
    return customer


def update_customer(call: Call) -> dict[str, Any]:
    """Change what is given; the balance is set, as by hand in the Dashboard."""
    customer = find_customer(call.transaction, call.object_id, param="id", status=404)
    given = {name: call.parameters[name] for name in _EDITABLE if name in call.parameters}
    customer.update(given, metadata=merged(customer["metadata"], call.parameters.get("metadata")))
    call.transaction.put(customer)
    return customer


def delete_customer(call: Call) -> dict[str, Any]:
    """Delete the customer; its invoices stay."""
    customer = find_customer(call.transaction, call.object_id, param="id", status=404)
    deleted = {"id": customer["id"], "object": "customer", "deleted": True}
    call.transaction.put(deleted)
    return deleted


def list_customers(call: Call) -> dict[str, Any]:
    """Customers, newest first."""
    email, created = call.parameters.get("email"), call.parameters.get("created")
    customers = (
        customer
        for customer in call.transaction.scan("customer", newest_first=True)
        if not customer.get("deleted")
        and email in {None, customer["email"]}
        and created_within(customer, created)
    )
    return page(customers, call.parameters, "/v1/customers")


ENDPOINTS = (
    endpoint("GET", "/v1/account", "AccountRetrieveCurrentParams", "", retrieve_account),
    endpoint(
        "POST",
        "/v1/customers",
        "CustomerCreateParams",
        "balance description email metadata name",
        create_customer,
    ),
    endpoint(
        "GET",
        "/v1/customers",
        "CustomerListParams",
        "created email ending_before limit starting_after",
        list_customers,
    ),
    endpoint("GET", "/v1/customers/{id}", "CustomerRetrieveParams", "", retrieve_customer),
    endpoint(
        "POST",
        "/v1/customers/{id}",
        "CustomerUpdateParams",
        "balance description email metadata name",
        update_customer,
    ),
    endpoint("DELETE", "/v1/customers/{id}", "CustomerDeleteParams", "", delete_customer),
)

"""Customers, and the account they belong to."""

from typing import Any

from billing_pipeline.invoicing.simulator.api_error import no_such
from billing_pipeline.invoicing.simulator.call import Call, endpoint
from billing_pipeline.invoicing.simulator.listing import created_within, page

ACCOUNT_ID = "acct_simulator"


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
            "metadata": parameters.get("metadata") or {},
            "name": parameters.get("name"),
            "next_invoice_sequence": 1,
        },
    )


def retrieve_customer(call: Call) -> dict[str, Any]:
    """The customer.

    Raises:
        ApiError: there is none of this id.
    """
    customer = call.transaction.get("customer", call.object_id)
    if customer is None:
        raise no_such("customer", call.object_id, "id")
    return customer


def list_customers(call: Call) -> dict[str, Any]:
    """Customers, newest first."""
    email, created = call.parameters.get("email"), call.parameters.get("created")
    customers = (
        customer
        for customer in call.transaction.scan("customer", newest_first=True)
        if email in {None, customer["email"]} and created_within(customer, created)
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
        "GET", "/v1/customers", "CustomerListParams", "created email limit starting_after", list_customers
    ),
    endpoint("GET", "/v1/customers/{id}", "CustomerRetrieveParams", "", retrieve_customer),
)

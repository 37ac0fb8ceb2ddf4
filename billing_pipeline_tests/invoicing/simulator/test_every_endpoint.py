"""Every endpoint through the real SDK, and what each refuses."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import stripe

from billing_pipeline.invoicing.simulator.api import ENDPOINTS, OWN_PATHS, Simulator
from billing_pipeline.invoicing.simulator.call import Endpoint
from billing_pipeline.invoicing.simulator.contract import fields, required
from billing_pipeline.invoicing.simulator.contract_document import contract_document, schema
from billing_pipeline.invoicing.simulator.http_messages import Handler, Request, Response
from billing_pipeline.invoicing.simulator.server import running_simulator
from billing_pipeline.invoicing.simulator.store import Store

NAMES = [f"{found.method} {found.template}" for found in ENDPOINTS]
TAKEN = [(found, name) for found in ENDPOINTS for name in sorted(found.understood)]
NEEDED = [(found, name) for found in ENDPOINTS for name in sorted(required(found.parameters))]


def test_the_sdk_drives_every_endpoint(tmp_path: Path) -> None:
    """Each of them is called by the SDK's own client and answers what the client can read."""
    called: set[tuple[str, str]] = set()

    def wrap(handler: Handler) -> Handler:
        def noted(request: Request) -> Response:
            called.update(
                (found.method, found.template)
                for found in ENDPOINTS
                if found.method == request.method and found.path.match(request.path)
            )
            return handler(request)

        return noted

    with running_simulator(tmp_path / "simulator.sqlite", wrap=wrap) as address:
        client = stripe.StripeClient("sk_test_any", base_addresses={"api": address})
        customer = _customers_and_products(client)
        _drafts(client, customer)
        _finalized(client, customer)
        _meters(client, customer)
    expected = {
        (found.method, found.template) for found in ENDPOINTS if not found.template.startswith(OWN_PATHS)
    }
    assert called == expected


def _customers_and_products(client: stripe.StripeClient) -> str:
    assert client.v1.accounts.retrieve_current().id == "acct_simulator"
    other = client.v1.customers.create({"name": "Bo", "metadata": {"a": "1", "b": "2"}})
    changed = client.v1.customers.update(other.id, {"balance": -5, "metadata": {"a": "", "c": "3"}})
    assert (changed.balance, changed.metadata.to_dict() if changed.metadata else {}) == (
        -5,
        {"b": "2", "c": "3"},
    )
    assert client.v1.customers.delete(other.id).deleted is True
    assert client.v1.customers.retrieve(other.id).deleted is True
    customer = client.v1.customers.create({"name": "Ada"})
    assert [found.id for found in client.v1.customers.list().data] == [customer.id]
    product = client.v1.products.create({"name": "Tokens", "id": "prod_tokens"})
    with pytest.raises(stripe.InvalidRequestError, match="already exists"):
        client.v1.products.create({"name": "Tokens", "id": "prod_tokens"})
    client.v1.products.update(product.id, {"active": False})
    assert client.v1.products.retrieve(product.id).active is False
    assert client.v1.products.list({"active": True}).data == []
    assert client.v1.products.delete(product.id).deleted is True
    return customer.id


def _drafts(client: stripe.StripeClient, customer: str) -> None:
    invoices, items = client.v1.invoices, client.v1.invoice_items
    pending = items.create({"customer": customer, "amount": 7, "currency": "usd"})
    assert items.update(pending.id, {"amount": 9, "description": "nine"}).amount == 9
    assert items.retrieve(pending.id).description == "nine"
    draft = invoices.create({"customer": customer, "pending_invoice_items_behavior": "include"})
    assert draft.total == 9
    added = invoices.add_lines(draft.id, {"lines": [{"amount": 100}, {"amount": 50}]})
    first, second, third = added.lines.data
    assert invoices.update_lines(draft.id, {"lines": [{"id": second.id, "amount": 120}]}).total == 179
    assert invoices.line_items.update(draft.id, third.id, {"amount": 60}).amount == 60
    assert invoices.retrieve(draft.id).total == 189
    removed = invoices.remove_lines(
        draft.id,
        {"lines": [{"id": first.id, "behavior": "unassign"}, {"id": second.id, "behavior": "delete"}]},
    )
    assert (removed.total, [line.id for line in removed.lines.data]) == (60, [third.id])
    assert [item.id for item in items.list({"pending": True}).data] == [pending.id]
    assert items.delete(pending.id).deleted is True
    assert [line.amount for line in invoices.line_items.list(draft.id).data] == [60]
    changed = invoices.update(draft.id, {"description": "by hand", "auto_advance": True})
    assert (changed.description, changed.auto_advance) == ("by hand", True)
    assert invoices.delete(draft.id).deleted is True
    assert invoices.list().data == []


def _invoice(client: stripe.StripeClient, customer: str, amount: int) -> stripe.Invoice:
    draft = client.v1.invoices.create(
        {"customer": customer, "collection_method": "send_invoice", "days_until_due": 30}
    )
    client.v1.invoices.add_lines(draft.id, {"lines": [{"amount": amount}]})
    return client.v1.invoices.finalize_invoice(draft.id)


def _finalized(client: stripe.StripeClient, customer: str) -> None:
    invoices, notes = client.v1.invoices, client.v1.credit_notes
    assert invoices.void_invoice(_invoice(client, customer, 10).id).status == "void"
    assert invoices.mark_uncollectible(_invoice(client, customer, 10).id).status == "uncollectible"
    invoice = _invoice(client, customer, 1000)
    assert invoices.send_invoice(invoice.id).status == "open"
    note = notes.create({"invoice": invoice.id, "amount": 100, "memo": "less"})
    assert notes.update(note.id, {"memo": "still less"}).memo == "still less"
    assert (notes.retrieve(note.id).pre_payment_amount, invoices.retrieve(invoice.id).amount_remaining) == (
        100,
        900,
    )
    assert notes.void_credit_note(note.id).status == "void"
    paid = invoices.pay(invoice.id)
    assert (paid.status, paid.amount_paid, paid.amount_remaining) == ("paid", 1000, 0)
    line = paid.lines.data[0].id
    second = notes.create(
        {
            "invoice": invoice.id,
            "lines": [{"type": "invoice_line_item", "invoice_line_item": line, "amount": 300}],
            "credit_amount": 300,
        }
    )
    assert [each.amount for each in notes.line_items.list(second.id).data] == [300]
    assert [each.id for each in notes.list({"invoice": invoice.id}).data] == [second.id, note.id]
    assert client.v1.customers.retrieve(customer).balance == -300


def _meters(client: stripe.StripeClient, customer: str) -> None:
    meters = client.v1.billing.meters
    meter = meters.create(
        {"display_name": "Tokens", "event_name": "tokens", "default_aggregation": {"formula": "sum"}}
    )
    assert meters.update(meter.id, {"display_name": "All tokens"}).display_name == "All tokens"
    assert meters.deactivate(meter.id).status == "inactive"
    assert meters.list({"status": "active"}).data == []
    assert meters.reactivate(meter.id).status == meters.retrieve(meter.id).status == "active"
    payload = {"stripe_customer_id": customer, "value": "12"}
    sent = client.v1.billing.meter_events.create(
        {"event_name": "tokens", "identifier": "one", "payload": payload}
    )
    day = sent.timestamp - sent.timestamp % 86_400
    asked: Any = {"customer": customer, "start_time": day, "end_time": day + 86_400}
    assert [each.aggregated_value for each in meters.event_summaries.list(meter.id, asked).data] == [12]
    client.v1.billing.meter_event_adjustments.create(
        {"event_name": "tokens", "type": "cancel", "cancel": {"identifier": "one"}}
    )
    assert meters.event_summaries.list(meter.id, asked).data == []
    for name in ("nothing", "tokens"):
        client.v1.billing.meter_events.create({"event_name": name, "payload": {"value": "1"}})
    reports = list(client.v2.core.events.list({"limit": 1}).auto_paging_iter())
    assert [report.type for report in reports] == [
        "v1.billing.meter.error_report_triggered",
        "v1.billing.meter.no_meter_found",
    ]
    data: Any = client.v2.core.events.retrieve(reports[0].id)
    assert data.data.reason.error_types[0].code == "meter_event_no_customer_defined"
    assert data.related_object.id == meter.id


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One for all refusals: they leave nothing behind."""
    store = Store(tmp_path_factory.mktemp("simulator") / "simulator.sqlite")
    yield Simulator(store)
    store.close()


def _refusal(simulator: Simulator, found: Endpoint, form: dict[str, str]) -> tuple[int, str]:
    path = found.template.replace("{id}", "x_1").replace("{child}", "y_1")
    response = simulator.handle(Request(found.method, path, urlencode(form), "sk_test_any"))
    return response.status, response.body


@pytest.mark.parametrize("found", ENDPOINTS, ids=NAMES)
def test_each_endpoint_refuses_unknown_parameters(simulator: Simulator, found: Endpoint) -> None:
    """A misspelt parameter is a 400 that names it."""
    status, body = _refusal(simulator, found, {"custmer": "1"})
    assert status == 400
    assert "Received unknown parameter: custmer" in body


@pytest.mark.parametrize(("found", "name"), NEEDED, ids=[f"{each.template} {name}" for each, name in NEEDED])
def test_each_endpoint_needs_what_the_sdk_needs(simulator: Simulator, found: Endpoint, name: str) -> None:
    """Whatever else is given, a missing parameter is a 400 that names it or another missing one."""
    status, body = _refusal(simulator, found, {})
    assert status == 400
    assert any(f"Missing required param: {each}" in body for each in required(found.parameters)), name


def _sample(name: str, wanted: dict[str, Any]) -> dict[str, str]:
    """A form with a value of a type, so that nothing else is wrong with a request."""
    wanted = wanted.get("anyOf", [wanted])[0]
    if "enum" in wanted:
        return {name: wanted["enum"][0]}
    match wanted["type"]:
        case "array":
            return _sample(f"{name}[0]", wanted["items"])
        case "object" if "properties" in wanted:
            return {
                key: value
                for each in wanted["required"] or ["amount"]
                for key, value in _sample(f"{name}[{each}]", wanted["properties"][each]).items()
            }
        case "object":
            return {f"{name}[key]": "value"}
        case "boolean":
            return {name: "true"}
        case _:
            return {name: "1"}


@pytest.mark.parametrize(
    ("found", "name"), TAKEN, ids=[f"{each.method} {each.template} {name}" for each, name in TAKEN]
)
def test_each_parameter_is_typed(simulator: Simulator, found: Endpoint, name: str) -> None:
    """A word where a number, list or mapping belongs, or a mapping where a word does, is a 400 that names it."""
    contract = fields(found.parameters)
    others: dict[str, str] = {}
    for each in required(found.parameters) - {name}:
        others |= _sample(each, schema(contract[each]))
    answers = [_refusal(simulator, found, {**others, key: "x"}) for key in (name, f"{name}[a]")]
    refused = [json.loads(body)["error"] for status, body in answers if status == 400]
    assert any(error.get("param", "").startswith(name) for error in refused), answers


def test_what_is_understood_is_in_the_contract() -> None:
    """No endpoint claims a parameter that the SDK does not have."""
    for found in ENDPOINTS:
        assert found.understood <= fields(found.parameters).keys(), found.template


def test_the_contract_is_a_document() -> None:
    """It has every endpoint with what the SDK's types say of it, and the version of the API that the SDK pins."""
    document = contract_document(ENDPOINTS)
    assert document["info"]["version"] == stripe.api_version
    methods = {
        (method.upper(), path) for path, operations in document["paths"].items() for method in operations
    }
    assert methods == {(found.method, found.template) for found in ENDPOINTS}
    body = document["paths"]["/v1/billing/meter_events"]["post"]["requestBody"]["content"]
    wanted = body["application/x-www-form-urlencoded"]["schema"]
    assert (wanted["required"], wanted["properties"]["timestamp"]) == (
        ["event_name", "payload"],
        {"type": "integer"},
    )
    assert wanted["properties"]["payload"] == {"type": "object", "additionalProperties": {"type": "string"}}

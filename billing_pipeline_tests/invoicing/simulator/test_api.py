import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from billing_pipeline.invoicing.simulator.api import ENDPOINTS, Simulator
from billing_pipeline.invoicing.simulator.contract import fields
from billing_pipeline.invoicing.simulator.http_messages import Request, Response
from billing_pipeline.invoicing.simulator.store import Store

NOW = 1_790_000_000


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    store = Store(tmp_path / "simulator.sqlite")
    yield Simulator(store, clock=lambda: NOW)
    store.close()


def _send(
    simulator: Simulator,
    method: str,
    path: str,
    parameters: dict[str, Any] | None = None,
    *,
    key: str | None = None,
    api_key: str | None = "sk_test_any",
) -> Response:
    return simulator.handle(Request(method, path, urlencode(parameters or {}), api_key, key))


def _ok(simulator: Simulator, method: str, path: str, parameters: dict[str, Any] | None = None) -> Any:
    response = _send(simulator, method, path, parameters)
    assert response.status == 200, response.body
    return json.loads(response.body)


def _error(response: Response) -> tuple[int, str, str | None]:
    error = json.loads(response.body)["error"]
    return response.status, error["type"], error.get("code")


def _draft(simulator: Simulator, currency: str = "usd") -> tuple[str, str]:
    customer = _ok(simulator, "POST", "/v1/customers", {"name": "Ada"})["id"]
    return customer, _ok(simulator, "POST", "/v1/invoices", {"customer": customer, "currency": currency})[
        "id"
    ]


def _add(simulator: Simulator, invoice: str, *amounts: int) -> Response:
    lines = {f"lines[{index}][amount]": str(amount) for index, amount in enumerate(amounts)}
    return _send(simulator, "POST", f"/v1/invoices/{invoice}/add_lines", lines)


@pytest.mark.parametrize("api_key", [None, "", "sk_live_1", "pk_test_1"])
def test_only_test_keys_are_let_in(simulator: Simulator, api_key: str | None) -> None:
    """Any key that starts with sk_test_ does, nothing else."""
    assert _error(_send(simulator, "GET", "/v1/customers", api_key=api_key))[0] == 401


def test_ids_are_deterministic(tmp_path: Path) -> None:
    """The same requests to two fresh stores give the same bodies, ids included."""
    bodies = []
    for name in ("one", "two"):
        store = Store(tmp_path / name)
        simulator = Simulator(store, clock=lambda: NOW)
        _, invoice = _draft(simulator)
        bodies.append((_add(simulator, invoice, 5, 6).body, _ok(simulator, "GET", "/v1/invoices")))
        store.close()
    assert bodies[0] == bodies[1]


def test_lines_add_up_to_the_total(simulator: Simulator) -> None:
    """Negative lines count as well; the total is the sum."""
    _, invoice = _draft(simulator)
    body = json.loads(_add(simulator, invoice, 500, -120).body)
    assert (body["total"], body["amount_due"], body["lines"]["data"][1]["amount"]) == (380, 380, -120)


def test_lines_are_paged(simulator: Simulator) -> None:
    """`limit` and `starting_after` walk through every line once."""
    _, invoice = _draft(simulator)
    _add(simulator, invoice, *range(25))
    seen: list[int] = []
    parameters: dict[str, str] = {"limit": "10"}
    while True:
        page = _ok(simulator, "GET", f"/v1/invoices/{invoice}/lines", parameters)
        seen += [line["amount"] for line in page["data"]]
        if not page["has_more"]:
            break
        parameters["starting_after"] = page["data"][-1]["id"]
    assert seen == list(range(25))


@pytest.mark.parametrize("parameters", [{"limit": "0"}, {"limit": "101"}, {"starting_after": "il_nope"}])
def test_impossible_pages_are_refused(simulator: Simulator, parameters: dict[str, str]) -> None:
    """A limit out of range or an unknown cursor is an error."""
    _, invoice = _draft(simulator)
    assert _send(simulator, "GET", f"/v1/invoices/{invoice}/lines", parameters).status == 400


def test_an_invoice_takes_250_lines_and_not_one_more(simulator: Simulator) -> None:
    """The request that goes beyond adds none of its lines."""
    _, invoice = _draft(simulator)
    assert _add(simulator, invoice, *[1] * 249).status == 200
    assert _error(_add(simulator, invoice, 1, 1))[2] == "invoice_too_many_items"
    assert _ok(simulator, "GET", f"/v1/invoices/{invoice}")["total"] == 249
    assert _add(simulator, invoice, 1).status == 200


def test_finalizing_makes_an_invoice_final(simulator: Simulator) -> None:
    """It is numbered and open; it takes no more lines, is not finalized twice and cannot be deleted."""
    _, invoice = _draft(simulator)
    _add(simulator, invoice, 100)
    final = _ok(simulator, "POST", f"/v1/invoices/{invoice}/finalize", {"auto_advance": "false"})
    assert (final["status"], final["number"], final["auto_advance"]) == ("open", "SIM00001-0001", False)
    for response in (
        _add(simulator, invoice, 1),
        _send(simulator, "POST", f"/v1/invoices/{invoice}/finalize"),
        _send(simulator, "DELETE", f"/v1/invoices/{invoice}"),
    ):
        assert _error(response) == (400, "invalid_request_error", "invoice_not_editable")


def test_a_negative_total_becomes_credit_of_the_customer(simulator: Simulator) -> None:
    """Nothing is due; the customer's next invoice is lowered by what is left."""
    customer, invoice = _draft(simulator)
    _add(simulator, invoice, -300)
    first = _ok(simulator, "POST", f"/v1/invoices/{invoice}/finalize")
    assert (first["status"], first["total"], first["amount_due"], first["ending_balance"]) == (
        "paid",
        -300,
        0,
        -300,
    )
    assert _ok(simulator, "GET", f"/v1/customers/{customer}")["balance"] == -300
    second = _ok(simulator, "POST", "/v1/invoices", {"customer": customer})["id"]
    _add(simulator, second, 1000)
    final = _ok(simulator, "POST", f"/v1/invoices/{second}/finalize")
    assert (final["status"], final["total"], final["amount_due"]) == ("open", 1000, 700)
    assert _ok(simulator, "GET", f"/v1/customers/{customer}")["balance"] == 0


@pytest.mark.parametrize(
    ("currency", "amount", "status"),
    [
        ("kwd", 1230, 200),
        ("kwd", 1234, 400),
        ("isk", 500, 200),
        ("isk", 5, 400),
        ("jpy", 7, 200),
        ("clf", 7, 400),
    ],
)
def test_amounts_fit_the_currency(simulator: Simulator, currency: str, amount: int, status: int) -> None:
    """Three-decimal amounts end in 0, those of ISK are multiples of 100."""
    _, invoice = _draft(simulator, currency)
    assert _add(simulator, invoice, amount).status == status


def test_drafts_can_be_deleted(simulator: Simulator) -> None:
    """A deleted draft is gone with its lines and items."""
    customer, invoice = _draft(simulator)
    _add(simulator, invoice, 1)
    assert _ok(simulator, "DELETE", f"/v1/invoices/{invoice}")["deleted"] is True
    assert _send(simulator, "GET", f"/v1/invoices/{invoice}").status == 404
    assert _ok(simulator, "GET", "/v1/invoiceitems", {"customer": customer})["data"] == []


def test_pending_items_are_left_out_unless_asked_for(simulator: Simulator) -> None:
    """Items of others stay pending under `exclude`, and become lines under `include`."""
    customer, invoice = _draft(simulator)
    item = {"customer": customer, "amount": "70", "currency": "usd"}
    _ok(simulator, "POST", "/v1/invoiceitems", item)
    _ok(simulator, "POST", "/v1/invoiceitems", {**item, "amount": "5", "invoice": invoice})
    assert _ok(simulator, "GET", f"/v1/invoices/{invoice}")["total"] == 5
    behavior = {"customer": customer, "pending_invoice_items_behavior": "exclude"}
    assert _ok(simulator, "POST", "/v1/invoices", behavior)["total"] == 0
    behavior["pending_invoice_items_behavior"] = "include"
    assert _ok(simulator, "POST", "/v1/invoices", behavior)["total"] == 70


def test_invoices_are_listed_by_customer_newest_first(simulator: Simulator) -> None:
    """Others' invoices are not in the list; `status` and `created` narrow it."""
    customer, first = _draft(simulator)
    second = _ok(simulator, "POST", "/v1/invoices", {"customer": customer})["id"]
    _draft(simulator)
    listed = _ok(simulator, "GET", "/v1/invoices", {"customer": customer})
    assert [invoice["id"] for invoice in listed["data"]] == [second, first]
    for nothing in ({"status": "open"}, {"created[gt]": NOW}, {"created": NOW + 1}):
        assert _ok(simulator, "GET", "/v1/invoices", nothing)["data"] == []


def test_a_key_gives_its_first_answer_again(simulator: Simulator) -> None:
    """The same request with the same key is applied once and says that it is a replay."""
    first = _send(simulator, "POST", "/v1/customers", {"name": "Ada"}, key="k")
    again = _send(simulator, "POST", "/v1/customers", {"name": "Ada"}, key="k")
    assert first.body == again.body
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(_ok(simulator, "GET", "/v1/customers")["data"]) == 1


def test_a_key_with_other_parameters_is_refused(simulator: Simulator) -> None:
    """Another body or another path under a used key is an idempotency error, and the first answer stays."""
    first = _send(simulator, "POST", "/v1/customers", {"name": "Ada"}, key="k")
    other = _send(simulator, "POST", "/v1/customers", {"name": "Bob"}, key="k")
    assert _error(other) == (400, "idempotency_error", None)
    elsewhere = _send(simulator, "POST", "/v1/invoices", {"customer": "cus_sim00000000001"}, key="k")
    assert _error(elsewhere)[1] == "idempotency_error"
    assert _send(simulator, "POST", "/v1/customers", {"name": "Ada"}, key="k").body == first.body


def test_refusals_before_the_endpoint_are_not_kept_later_ones_are(simulator: Simulator) -> None:
    """A key is still free after an unknown parameter; a failure of the endpoint itself is replayed."""
    assert _send(simulator, "POST", "/v1/customers", {"nam": "Ada"}, key="k").status == 400
    assert _send(simulator, "POST", "/v1/customers", {"name": "Ada"}, key="k").status == 200
    for _ in range(2):
        failed = _send(simulator, "POST", "/v1/invoices", {"customer": "cus_sim00000000002"}, key="k2")
        assert _error(failed) == (400, "invalid_request_error", "resource_missing")
        _ok(simulator, "POST", "/v1/customers")
    assert failed.headers["Idempotent-Replayed"] == "true"


def test_state_and_keys_survive_a_restart(tmp_path: Path) -> None:
    """A second simulator on the same file has the objects and replays the keys."""
    path = tmp_path / "simulator.sqlite"
    store = Store(path)
    first = _send(Simulator(store), "POST", "/v1/customers", {"name": "Ada"}, key="k")
    store.close()
    store = Store(path)
    again = _send(Simulator(store), "POST", "/v1/customers", {"name": "Ada"}, key="k")
    store.close()
    assert (again.body, again.headers["Idempotent-Replayed"]) == (first.body, "true")


def test_a_parameter_without_effect_here_is_refused(simulator: Simulator) -> None:
    """What Stripe takes and the simulator does not understand is an error, never ignored."""
    customer, _ = _draft(simulator)
    response = _send(simulator, "POST", "/v1/invoices", {"customer": customer, "footer": "Thanks"})
    assert _error(response)[2] == "simulator_unsupported_parameter"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/charges"), ("PUT", "/v1/customers"), ("GET", "/"), ("GET", "/v1/invoices/in_x")],
)
def test_what_is_not_there_is_404(simulator: Simulator, method: str, path: str) -> None:
    """Unknown paths, methods and objects are not found."""
    assert _error(_send(simulator, method, path))[0] == 404


def test_what_is_understood_is_in_the_contract() -> None:
    """Every parameter that an endpoint understands exists in the installed SDK."""
    for endpoint in ENDPOINTS:
        assert endpoint.understood <= fields(endpoint.parameters).keys(), endpoint.path.pattern

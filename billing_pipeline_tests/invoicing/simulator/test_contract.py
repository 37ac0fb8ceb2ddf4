from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stripe._encode import _api_encode

from billing_pipeline.invoicing.simulator.api_error import ApiError
from billing_pipeline.invoicing.simulator.contract import fields, read
from billing_pipeline.invoicing.simulator.form import decode

_TEXT = st.text("aZ09 &=+%[]é€\n", min_size=1, max_size=8)
_NAMES = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=8)
_NESTED = st.recursive(
    _TEXT,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3) | st.dictionaries(_NAMES, inner, min_size=1, max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(_NAMES, _NESTED, max_size=4))
def test_decoding_undoes_what_the_sdk_encodes(parameters: dict[str, Any]) -> None:
    """Whatever nested parameters the SDK puts into a form come out as they went in."""
    assert decode(urlencode(list(_api_encode(parameters)))) == parameters


@pytest.mark.parametrize("form", ["a[b=1", "=1", "a=1&a[b]=2", "a[b]=2&a=1", "[a]=1", "a" + "[b]" * 9 + "=1"])
def test_malformed_names_are_refused(form: str) -> None:
    """A form that cannot be read as nested parameters is an error, not a guess."""
    with pytest.raises(ApiError):
        decode(form)


def test_empty_brackets_append() -> None:
    """`expand[]=a&expand[]=b` is a list, as Stripe's own examples write it."""
    assert decode("expand[]=a&expand[]=b") == {"expand": ["a", "b"]}


def test_values_are_typed_by_the_sdk() -> None:
    """Integers, booleans, decimals and metadata come out as the SDK's parameter types say."""
    lines = {
        "lines": [
            {
                "amount": "-5",
                "discountable": "false",
                "quantity_decimal": "0.00000005",
                "metadata": {"line_id": "7"},
                "period": {"start": "1", "end": "2"},
            }
        ]
    }
    assert read("InvoiceAddLinesParams", lines) == {
        "lines": [
            {
                "amount": -5,
                "discountable": False,
                "quantity_decimal": Decimal("0.00000005"),
                "metadata": {"line_id": "7"},
                "period": {"start": 1, "end": 2},
            }
        ]
    }


def test_unions_take_each_of_their_members() -> None:
    """A filter may be a second or a mapping of bounds; metadata may be emptied by an empty value."""
    assert read("InvoiceListParams", {"created": "5"}) == {"created": 5}
    assert read("InvoiceListParams", {"created": {"gte": "5"}}) == {"created": {"gte": 5}}
    assert read("InvoiceCreateParams", {"discounts": "", "metadata": ""}) == {"discounts": "", "metadata": ""}


@pytest.mark.parametrize(
    ("type_name", "values", "param", "code"),
    [
        ("InvoiceCreateParams", {"bogus": "1"}, "bogus", "parameter_unknown"),
        ("InvoiceAddLinesParams", {"lines": [{"amont": "1"}]}, "lines[0][amont]", "parameter_unknown"),
        ("InvoiceAddLinesParams", {}, "lines", "parameter_missing"),
        (
            "InvoiceAddLinesParams",
            {"lines": [{"period": {"start": "1"}}]},
            "lines[0][period][end]",
            "parameter_missing",
        ),
        (
            "InvoiceAddLinesParams",
            {"lines": [{"amount": "1.5"}]},
            "lines[0][amount]",
            "parameter_invalid_integer",
        ),
        ("InvoiceAddLinesParams", {"lines": [{"amount": {"a": "1"}}]}, "lines[0][amount]", None),
        (
            "InvoiceAddLinesParams",
            {"lines": [{"quantity_decimal": "5E-8"}]},
            "lines[0][quantity_decimal]",
            None,
        ),
        ("InvoiceAddLinesParams", {"lines": "x"}, "lines", None),
        ("InvoiceAddLinesParams", {"lines": [{"metadata": "x"}]}, "lines[0][metadata]", None),
        ("InvoiceCreateParams", {"auto_advance": "False"}, "auto_advance", None),
        ("InvoiceCreateParams", {"collection_method": "by_pigeon"}, "collection_method", None),
        (
            "InvoiceCreateParams",
            {"pending_invoice_items_behavior": "maybe"},
            "pending_invoice_items_behavior",
            None,
        ),
    ],
)
def test_what_the_contract_does_not_allow_is_refused(
    type_name: str, values: dict[str, Any], param: str, code: str | None
) -> None:
    """Unknown, missing and mistyped parameters are refused with their path, as Stripe names it."""
    with pytest.raises(ApiError) as caught:
        read(type_name, values)
    error = caught.value.body["error"]
    assert (caught.value.status, error["param"], error.get("code")) == (400, param, code)
    assert not caught.value.keep


def test_options_of_the_sdk_are_no_parameters() -> None:
    """`api_key`, `idempotency_key` and the like are options of a call and never travel in the form."""
    assert not {"api_key", "idempotency_key", "stripe_account"} & fields("InvoiceCreateParams").keys()
    assert "customer" in fields("InvoiceCreateParams")

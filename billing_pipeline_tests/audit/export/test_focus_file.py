"""The FOCUS dataset of a company as a file: sums to the cent, the same bytes again, nothing where a row is wrong."""

import csv
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from billing_pipeline.audit.export import focus_file
from billing_pipeline.audit.export.exported_lines import exported
from billing_pipeline.audit.export.focus_columns import NAMES
from billing_pipeline.audit.export.focus_file import Format, Written, write_focus
from billing_pipeline.audit.export.list_prices import ListPrices
from billing_pipeline.errors import FocusFaultError
from billing_pipeline_tests.audit.invoiced_company import END, NEXT_END, InvoicedCompany


def written(
    company: InvoicedCompany, path: Path, name: str = "2026-10", output: Format = "parquet"
) -> Written:
    """Write one month of the company."""
    workshop = company.pipeline.workshop
    days = exported(workshop, company.control, [END, NEXT_END], name)
    return write_focus(days, ListPrices(workshop.books), "Atlas AI", path, output)


def rows(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return found


def sums(found: list[dict[str, Any]]) -> dict[tuple[str, str], Decimal]:
    """Billed, by customer and currency."""
    totals: dict[tuple[str, str], Decimal] = {}
    for row in found:
        key = (row["BillingAccountId"], row["BillingCurrency"])
        totals[key] = totals.get(key, Decimal()) + row["BilledCost"]
    return totals


def test_billed_costs_are_the_invoices_to_the_cent(in_stripe: InvoicedCompany, tmp_path: Path) -> None:
    """Of both currencies, with corrections in the next month; a customer that is held back has none."""
    in_stripe.push([END])
    october, november = tmp_path / "october.parquet", tmp_path / "november.parquet"
    written(in_stripe, october)
    written(in_stripe, november, "2026-11")
    assert sums(rows(october)) == {
        ("acme", "EUR"): Decimal("9.60"),
        ("acme", "USD"): Decimal("15.00"),
        ("beta", "USD"): Decimal("24.00"),
        ("free", "USD"): Decimal("12.00"),
        ("tried", "USD"): Decimal(0),
        ("zulu", "USD"): Decimal("48.00"),
    }
    found = rows(november)
    assert sums(found) == {("acme", "USD"): Decimal("-15.00"), ("beta", "USD"): Decimal("24.00")}
    classes = {
        (row["BillingAccountId"], row["ChargeClass"], f"{row['ChargePeriodStart']:%Y-%m}") for row in found
    }
    assert classes == {
        ("acme", "Correction", "2026-10"),
        ("beta", "Correction", "2026-10"),
        ("beta", None, "2026-11"),
    }


def test_what_is_final_names_its_invoice_and_what_is_not_does_not(
    in_stripe: InvoicedCompany, tmp_path: Path
) -> None:
    written(in_stripe, tmp_path / "before")
    assert {row["InvoiceId"] for row in rows(tmp_path / "before")} == {None}
    results = in_stripe.push([END])
    written(in_stripe, tmp_path / "after")
    invoices = {
        (row["BillingAccountId"], row["BillingCurrency"]): row["InvoiceId"]
        for row in rows(tmp_path / "after")
    }
    assert invoices == {(each.customer_id, each.currency.upper()): each.stripe_invoice_id for each in results}


def test_both_formats_say_the_same_with_exact_types(in_stripe: InvoicedCompany, tmp_path: Path) -> None:
    """Decimals in Parquet, plain notation in CSV; no binary floating point anywhere."""
    counts = written(in_stripe, tmp_path / "a.parquet")
    assert written(in_stripe, tmp_path / "a.csv", output="csv") == counts
    schema = pq.read_schema(tmp_path / "a.parquet")
    assert schema.names == list(NAMES)
    assert schema.metadata[b"FocusVersion"] == b"1.2"
    assert str(schema.field("BilledCost").type) == "decimal128(38, 24)"
    assert not [field for field in schema if "float" in str(field.type) or "double" in str(field.type)]
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        texts = list(csv.DictReader(file))
    found = rows(tmp_path / "a.parquet")
    assert len(texts) == len(found) == counts.rows
    for text, row in zip(texts, found, strict=True):
        assert Decimal(text["BilledCost"]) == row["BilledCost"]
        assert Decimal(text["ContractedUnitPrice"]) == row["ContractedUnitPrice"]
        assert text["BillingPeriodStart"] == "2026-10-01T00:00:00Z"
        assert "E" not in text["ContractedUnitPrice"]
        assert text["x_LineId"] == row["x_LineId"]


@pytest.mark.parametrize("output", ["csv", "parquet"])
def test_the_bytes_are_the_same_again_whatever_the_chunks(
    in_stripe: InvoicedCompany, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: Format
) -> None:
    written(in_stripe, tmp_path / "a", output=output)
    written(in_stripe, tmp_path / "b", output=output)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    monkeypatch.setattr(focus_file, "CHUNK_ROWS", 2)
    counts = written(in_stripe, tmp_path / "c", output=output)
    if output == "csv":
        assert (tmp_path / "c").read_bytes() == (tmp_path / "a").read_bytes()
    else:
        assert rows(tmp_path / "c") == rows(tmp_path / "a")
        assert pq.ParquetFile(tmp_path / "c").num_row_groups == counts.rows // 2 + counts.rows % 2


def test_a_wrong_row_leaves_the_file_as_it_was(
    in_stripe: InvoicedCompany, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "focus.csv"
    written(in_stripe, path, output="csv")
    before = path.read_bytes()
    monkeypatch.setattr("billing_pipeline.audit.export.focus_rows.SERVICE_CATEGORY", "Artificial")
    with pytest.raises(FocusFaultError, match="ServiceCategory"):
        written(in_stripe, path, output="csv")
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir() if "focus" in each.name] == ["focus.csv"]

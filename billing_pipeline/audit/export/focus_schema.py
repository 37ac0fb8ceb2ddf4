"""The pandera schema of the FOCUS dataset: types, nulls, allowed values, and the rules between columns."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from billing_pipeline.audit.export.focus_columns import FOCUS_COLUMNS, FocusType
from billing_pipeline.audit.invoice_reconciliation.delivered import FINAL
from billing_pipeline.errors import FocusFaultError
from billing_pipeline.schemas.pandera_schemas import import_pandera

FAULTS_SHOWN = 5


def focus_frame(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Rows as a `polars.DataFrame` of the dataset's types, validated.

    Raises:
        FocusFaultError: a row breaks a rule; it names column, rule and value.
    """
    import polars as pl

    import_pandera()
    from pandera.errors import SchemaErrors

    types = _types()
    frame = pl.DataFrame({name: [row[name] for row in rows] for name in types}, schema=types, strict=True)
    try:
        focus_schema().validate(frame, lazy=True)
    except SchemaErrors as error:
        faults = error.failure_cases.head(FAULTS_SHOWN).to_dicts()
        raise FocusFaultError(
            "; ".join(
                f"{each.get('column') or 'row'}: {each.get('check')}: {each.get('failure_case')}"
                for each in faults
            )
        ) from error
    return frame


@cache
def focus_schema() -> Any:
    """The `pandera.polars.DataFrameSchema`."""
    import_pandera()
    import pandera.polars as pa

    types = _types()
    return pa.DataFrameSchema(
        {
            column.name: pa.Column(
                types[column.name],
                [pa.Check.isin(list(column.one_of))] if column.one_of else [],
                nullable=column.nullable,
            )
            for column in FOCUS_COLUMNS
        },
        checks=[pa.Check(rule, name=name) for name, rule in _rules().items()],
        strict=True,
        ordered=True,
        name="FOCUS 1.2",
    )


@cache
def _types() -> dict[str, Any]:
    import polars as pl

    by_type = {
        FocusType.TEXT: pl.String(),
        FocusType.JSON: pl.String(),
        FocusType.INSTANT: pl.Datetime("us", "UTC"),
        FocusType.COST: pl.Decimal(38, 24),
        FocusType.QUANTITY: pl.Decimal(38, 9),
    }
    return {column.name: by_type[column.type] for column in FOCUS_COLUMNS}


def _rules() -> dict[str, Any]:
    """What FOCUS asks of several columns of a row together, each as a frame's lazy yes or no per row."""
    import polars as pl

    def col(name: str) -> Any:
        return pl.col(name)

    is_correction = col("ChargeClass").is_not_null()
    is_priced = col("ChargeCategory").is_in(["Usage", "Purchase"]) & ~is_correction
    is_usage = col("ChargeCategory") == "Usage"
    has_price = col("SkuPriceId").is_not_null()
    has_quantity, has_unit = col("PricingQuantity").is_not_null(), col("PricingUnit").is_not_null()
    is_final = col("x_InvoiceState").is_in(sorted(FINAL)).fill_null(value=False)
    rules = {
        "BillingCurrency and PricingCurrency are codes of ISO 4217": col("BillingCurrency").str.contains(
            "^[A-Z]{3}$"
        )
        & (col("PricingCurrency") == col("BillingCurrency")),
        "a billing period ends after it starts": col("BillingPeriodStart") < col("BillingPeriodEnd"),
        "a charge period ends after it starts": col("ChargePeriodStart") < col("ChargePeriodEnd"),
        "a charge outside its billing period is a correction or in advance": is_correction
        | (col("ChargePeriodStart") >= col("BillingPeriodStart")),
        "ConsumedQuantity is above zero for usage, and null for what is no usage": pl.when(
            is_usage & ~is_correction
        )
        .then(col("ConsumedQuantity") > 0)
        .otherwise(is_usage | col("ConsumedQuantity").is_null()),
        "ConsumedUnit stands beside ConsumedQuantity": col("ConsumedUnit").is_null()
        == col("ConsumedQuantity").is_null(),
        "usage and purchases have a SkuPriceId, unit prices and a PricingCategory": ~is_priced
        | (
            has_price
            & col("ListUnitPrice").is_not_null()
            & col("ContractedUnitPrice").is_not_null()
            & col("PricingCategory").is_not_null()
        ),
        "PricingQuantity and PricingUnit stand where SkuPriceId does": (has_price == has_quantity)
        & (has_price == has_unit),
        "SkuId stands where SkuPriceId does": has_price == col("SkuId").is_not_null(),
        "unit prices are not negative": (col("ListUnitPrice").fill_null(0) >= 0)
        & (col("ContractedUnitPrice").fill_null(0) >= 0),
        "credits are not above zero": (col("ChargeCategory") != "Credit")
        | is_correction
        | (col("BilledCost") <= 0),
        "usage and purchases have the sign of their quantity": ~is_priced
        | (col("BilledCost") == 0)
        | ((col("BilledCost") > 0) == (col("PricingQuantity") > 0)),
        "usage, and nothing else, is Usage-Based": is_usage == (col("ChargeFrequency") == "Usage-Based"),
        "SubAccountType stands beside SubAccountId": col("SubAccountId").is_null()
        == col("SubAccountType").is_null(),
        "InvoiceId is there once the invoice is final": ~is_final | col("InvoiceId").is_not_null(),
    }
    return {name: _holds(rule) for name, rule in rules.items()}


def _holds(rule: Any) -> Any:
    """A check that a rule holds in every row; where it cannot be told, it does not."""
    return lambda data: data.lazyframe.select(rule.fill_null(value=False))

"""The columns of FOCUS 1.2's cost and usage dataset, in the order in which they are written.

https://focus.finops.org/focus-specification/v1-2. Columns that start with `x_` are ours, as FOCUS wants them named.
"""

from enum import StrEnum
from typing import NamedTuple


class FocusType(StrEnum):
    """The types of columns. None of them is binary floating point."""

    TEXT = "String"
    JSON = "JSON"
    INSTANT = "Date/Time"
    COST = "Decimal"
    QUANTITY = "Decimal (quantity)"


class Level(StrEnum):
    """Whether a column has to be there."""

    MANDATORY = "mandatory"
    CONDITIONAL = "conditional"
    RECOMMENDED = "recommended"
    CUSTOM = "custom"


class FocusColumn(NamedTuple):
    """One column. `nullable` and `one_of` as FOCUS has them, or narrower where we always know."""

    name: str
    type: FocusType
    level: Level
    nullable: bool
    one_of: tuple[str, ...] = ()


CATEGORIES = ("Usage", "Purchase", "Tax", "Credit", "Adjustment")
FREQUENCIES = ("One-Time", "Recurring", "Usage-Based")
PRICING_CATEGORIES = ("Standard", "Dynamic", "Committed", "Other")
SERVICE_CATEGORY, SERVICE_SUBCATEGORY = "AI and Machine Learning", "Generative AI"
SERVICE_CATEGORIES = (
    *(
        "AI and Machine Learning",
        "Analytics",
        "Business Applications",
        "Compute",
        "Databases",
        "Developer Tools",
    ),
    *("Multicloud", "Identity", "Integration", "Internet of Things", "Management and Governance", "Media"),
    *("Migration", "Mobile", "Networking", "Security", "Storage", "Web", "Other"),
)

_TEXT, _JSON, _INSTANT = FocusType.TEXT, FocusType.JSON, FocusType.INSTANT
_COST, _QUANTITY = FocusType.COST, FocusType.QUANTITY
_M, _C, _R, _X = Level.MANDATORY, Level.CONDITIONAL, Level.RECOMMENDED, Level.CUSTOM

FOCUS_COLUMNS = (
    FocusColumn("AvailabilityZone", _TEXT, _R, nullable=True),
    FocusColumn("BilledCost", _COST, _M, nullable=False),
    FocusColumn("BillingAccountId", _TEXT, _M, nullable=False),
    FocusColumn("BillingAccountName", _TEXT, _M, nullable=True),
    FocusColumn("BillingAccountType", _TEXT, _C, nullable=False),
    FocusColumn("BillingCurrency", _TEXT, _M, nullable=False),
    FocusColumn("BillingPeriodEnd", _INSTANT, _M, nullable=False),
    FocusColumn("BillingPeriodStart", _INSTANT, _M, nullable=False),
    FocusColumn("CapacityReservationId", _TEXT, _C, nullable=True),
    FocusColumn("CapacityReservationStatus", _TEXT, _C, nullable=True, one_of=("Used", "Unused")),
    FocusColumn("ChargeCategory", _TEXT, _M, nullable=False, one_of=CATEGORIES),
    FocusColumn("ChargeClass", _TEXT, _M, nullable=True, one_of=("Correction",)),
    FocusColumn("ChargeDescription", _TEXT, _M, nullable=True),
    FocusColumn("ChargeFrequency", _TEXT, _R, nullable=False, one_of=FREQUENCIES),
    FocusColumn("ChargePeriodEnd", _INSTANT, _M, nullable=False),
    FocusColumn("ChargePeriodStart", _INSTANT, _M, nullable=False),
    FocusColumn("CommitmentDiscountCategory", _TEXT, _C, nullable=True, one_of=("Spend", "Usage")),
    FocusColumn("CommitmentDiscountId", _TEXT, _C, nullable=True),
    FocusColumn("CommitmentDiscountName", _TEXT, _C, nullable=True),
    FocusColumn("CommitmentDiscountQuantity", _QUANTITY, _C, nullable=True),
    FocusColumn("CommitmentDiscountStatus", _TEXT, _C, nullable=True, one_of=("Used", "Unused")),
    FocusColumn("CommitmentDiscountType", _TEXT, _C, nullable=True),
    FocusColumn("CommitmentDiscountUnit", _TEXT, _C, nullable=True),
    FocusColumn("ConsumedQuantity", _QUANTITY, _C, nullable=True),
    FocusColumn("ConsumedUnit", _TEXT, _C, nullable=True),
    FocusColumn("ContractedCost", _COST, _M, nullable=False),
    FocusColumn("ContractedUnitPrice", _COST, _C, nullable=True),
    FocusColumn("EffectiveCost", _COST, _M, nullable=False),
    FocusColumn("InvoiceId", _TEXT, _R, nullable=True),
    FocusColumn("InvoiceIssuerName", _TEXT, _M, nullable=False),
    FocusColumn("ListCost", _COST, _M, nullable=False),
    FocusColumn("ListUnitPrice", _COST, _C, nullable=True),
    FocusColumn("PricingCategory", _TEXT, _C, nullable=True, one_of=PRICING_CATEGORIES),
    FocusColumn("PricingCurrency", _TEXT, _C, nullable=False),
    FocusColumn("PricingCurrencyContractedUnitPrice", _COST, _C, nullable=True),
    FocusColumn("PricingCurrencyEffectiveCost", _COST, _C, nullable=False),
    FocusColumn("PricingCurrencyListUnitPrice", _COST, _C, nullable=True),
    FocusColumn("PricingQuantity", _QUANTITY, _M, nullable=True),
    FocusColumn("PricingUnit", _TEXT, _M, nullable=True),
    FocusColumn("ProviderName", _TEXT, _M, nullable=False),
    FocusColumn("PublisherName", _TEXT, _M, nullable=False),
    FocusColumn("RegionId", _TEXT, _C, nullable=True),
    FocusColumn("RegionName", _TEXT, _C, nullable=True),
    FocusColumn("ResourceId", _TEXT, _C, nullable=True),
    FocusColumn("ResourceName", _TEXT, _C, nullable=True),
    FocusColumn("ResourceType", _TEXT, _C, nullable=True),
    FocusColumn("ServiceCategory", _TEXT, _M, nullable=False, one_of=SERVICE_CATEGORIES),
    FocusColumn("ServiceName", _TEXT, _M, nullable=False),
    FocusColumn("ServiceSubcategory", _TEXT, _R, nullable=False),
    FocusColumn("SkuId", _TEXT, _C, nullable=True),
    FocusColumn("SkuMeter", _TEXT, _C, nullable=True),
    FocusColumn("SkuPriceDetails", _JSON, _C, nullable=True),
    FocusColumn("SkuPriceId", _TEXT, _C, nullable=True),
    FocusColumn("SubAccountId", _TEXT, _C, nullable=True),
    FocusColumn("SubAccountName", _TEXT, _C, nullable=True),
    FocusColumn("SubAccountType", _TEXT, _C, nullable=True),
    FocusColumn("Tags", _JSON, _C, nullable=True),
    FocusColumn("x_Component", _TEXT, _X, nullable=False),
    FocusColumn("x_CreditNoteId", _TEXT, _X, nullable=True),
    FocusColumn("x_EvidenceDigest", _TEXT, _X, nullable=False),
    FocusColumn("x_InvoiceState", _TEXT, _X, nullable=True),
    FocusColumn("x_LineId", _TEXT, _X, nullable=False),
    FocusColumn("x_Reason", _TEXT, _X, nullable=True),
    FocusColumn("x_RuleVersion", _TEXT, _X, nullable=False),
    FocusColumn("x_Term", _TEXT, _X, nullable=True),
)
NAMES = tuple(column.name for column in FOCUS_COLUMNS)

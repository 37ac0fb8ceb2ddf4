"""Lists every fault of a usage event that has been read into plain fields; slow, and complete."""

from collections.abc import Mapping

from billing_pipeline.contract import limits
from billing_pipeline.contract.allocation import WHOLE, share_units
from billing_pipeline.contract.decimals import SHARE, unscaled
from billing_pipeline.contract.fault import Faults
from billing_pipeline.contract.field_rules import (
    check_boolean,
    check_decimal,
    check_instant,
    check_reason_code,
    check_text,
    check_unknown,
)
from billing_pipeline.contract.json_reading import JsonValue, Number
from billing_pipeline.contract.reason_codes import RejectionCode, UsageReason

COMMON_FIELDS = frozenset(
    {"id", "source", "type", "schema_version", "occurred_at", "emitted_at", "received_at"}
)
_USAGE_TEXTS = {
    "customer_id": (limits.ID_CHARACTERS, True),
    "project_id": (limits.ID_CHARACTERS, True),
    "unit": (limits.UNIT_CHARACTERS, True),
    "correlation_id": (limits.TRACE_CHARACTERS, True),
    "user_id": (limits.ID_CHARACTERS, False),
    "session_id": (limits.TRACE_CHARACTERS, False),
    "parent_id": (limits.TRACE_CHARACTERS, False),
    "step": (limits.UNIT_CHARACTERS, False),
}
USAGE_FIELDS = (
    COMMON_FIELDS | _USAGE_TEXTS.keys() | {"quantity", "dimensions", "billable", "reason_code", "allocations"}
)
FIELDS_SINCE_2 = ("session_id", "parent_id", "allocations")
_SHARE_FIELDS = frozenset({"customer_id", "project_id", "share"})


def check_usage(fields: Mapping[str, JsonValue], faults: Faults) -> None:
    """Add every fault of a usage event."""
    check_common(fields, USAGE_FIELDS, faults)
    for name, (characters, required) in _USAGE_TEXTS.items():
        check_text(fields.get(name), name, characters, faults, required=required, slash=name != "customer_id")
    check_decimal(fields.get("quantity"), "quantity", faults)
    check_dimensions(fields.get("dimensions"), "dimensions", faults)
    check_boolean(fields.get("billable"), "billable", faults)
    check_reason_code(
        fields.get("reason_code"), UsageReason, faults, required=fields.get("billable") is False
    )
    _check_allocations(fields.get("allocations"), faults)
    version = fields.get("schema_version")
    if isinstance(version, Number) and version.text == "1":
        for name in FIELDS_SINCE_2:
            if fields.get(name) is not None:
                rule = "be left out in schema version 1, or the event must say version 2"
                faults.add(RejectionCode.FIELD_NOT_IN_SCHEMA_VERSION, name, fields[name], rule)


def check_common(fields: Mapping[str, JsonValue], known: frozenset[str], faults: Faults) -> None:
    """Add the faults of what every event has: identity, schema version, instants, and only `known` fields."""
    check_unknown(fields, known, "", faults)
    check_text(fields.get("id"), "id", limits.ID_CHARACTERS, faults)
    check_text(fields.get("source"), "source", limits.SOURCE_CHARACTERS, faults)
    version = fields.get("schema_version")
    if version is None:
        faults.add(RejectionCode.MISSING_FIELD, "schema_version", None, "be given: 1 or 2")
    elif not isinstance(version, Number):
        faults.add(RejectionCode.WRONG_TYPE, "schema_version", version, "be a JSON integer, 1 or 2")
    elif version.text not in ("1", "2"):
        faults.add(RejectionCode.UNKNOWN_SCHEMA_VERSION, "schema_version", version, "be 1 or 2")
    check_instant(fields.get("occurred_at"), "occurred_at", faults, required=True)
    check_instant(fields.get("emitted_at"), "emitted_at", faults)
    check_instant(fields.get("received_at"), "received_at", faults)


def check_dimensions(value: JsonValue, field: str, faults: Faults) -> None:
    """Add the faults of a set of dimensions; null is none at all."""
    if value is None:
        return
    if not isinstance(value, dict):
        faults.add(RejectionCode.WRONG_TYPE, field, value, "be an object of texts")
        return
    if len(value) > limits.DIMENSIONS:
        rule = f"have at most {limits.DIMENSIONS} entries"
        faults.add(RejectionCode.TOO_MANY_DIMENSIONS, field, Number(str(len(value)), is_integer=True), rule)
    for key, text in value.items():
        check_text(key, f"{field} key", limits.DIMENSION_KEY_CHARACTERS, faults)
        check_text(text, f"{field}.{key}", limits.DIMENSION_VALUE_CHARACTERS, faults)


def _check_allocations(value: JsonValue, faults: Faults) -> None:
    if value is None:
        return
    if not isinstance(value, list):
        faults.add(RejectionCode.WRONG_TYPE, "allocations", value, "be a list of shares")
        return
    if not value:
        faults.add(RejectionCode.EMPTY, "allocations", value, "have at least one share, or be left out")
        return
    if len(value) > limits.SHARES:
        count = Number(str(len(value)), is_integer=True)
        faults.add(
            RejectionCode.TOO_MANY_SHARES, "allocations", count, f"have at most {limits.SHARES} shares"
        )
    units = [_check_share(share, f"allocations[{index}]", faults) for index, share in enumerate(value)]
    if all(units) and sum(units) != WHOLE:
        total = Number(unscaled(sum(units), limits.SHARE_FRACTIONAL_DIGITS), is_integer=False)
        faults.add(RejectionCode.SHARES_NOT_ONE, "allocations", total, "have shares that add up to exactly 1")


def _check_share(value: JsonValue, path: str, faults: Faults) -> int:
    """The share as a count of 10^-18, 0 where it is not one."""
    if not isinstance(value, dict):
        faults.add(RejectionCode.WRONG_TYPE, path, value, "be an object of customer_id, project_id and share")
        return 0
    check_unknown(value, _SHARE_FIELDS, f"{path}.", faults)
    check_text(value.get("customer_id"), f"{path}.customer_id", limits.ID_CHARACTERS, faults, slash=False)
    check_text(value.get("project_id"), f"{path}.project_id", limits.ID_CHARACTERS, faults)
    share = value.get("share")
    if share is None:
        faults.add(RejectionCode.MISSING_FIELD, f"{path}.share", None, "be given, as decimal text")
        return 0
    if not isinstance(share, str):
        faults.add(RejectionCode.WRONG_TYPE, f"{path}.share", share, 'be decimal text, like "0.25"')
        return 0
    units = share_units(share) if SHARE.fullmatch(share) else 0
    if units == 0:
        rule = f"be above 0 and up to 1, with at most {limits.SHARE_FRACTIONAL_DIGITS} fractional digits"
        faults.add(RejectionCode.INVALID_SHARE, f"{path}.share", share, rule)
    return units

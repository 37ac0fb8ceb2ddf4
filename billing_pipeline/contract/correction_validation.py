"""Lists every fault of a correction that has been read into plain fields."""

from collections.abc import Mapping

from billing_pipeline.contract import limits
from billing_pipeline.contract.fault import Faults
from billing_pipeline.contract.field_rules import (
    check_boolean,
    check_decimal,
    check_reason_code,
    check_text,
    check_unknown,
)
from billing_pipeline.contract.json_reading import JsonValue
from billing_pipeline.contract.reason_codes import CorrectionReason, RejectionCode
from billing_pipeline.contract.validation import COMMON_FIELDS, check_common, check_dimensions

CORRECTION_FIELDS = COMMON_FIELDS | {
    "corrects",
    "action",
    "quantity_delta",
    "replacement",
    "reason_code",
    "note",
    "correlation_id",
}
REPLACEMENT_FIELDS = frozenset({"customer_id", "project_id", "unit", "dimensions", "billable", "quantity"})
_FIELD_OF_ACTION = {"adjust": "quantity_delta", "replace": "replacement"}


def check_correction(fields: Mapping[str, JsonValue], faults: Faults) -> None:
    """Add every fault of a correction."""
    check_common(fields, CORRECTION_FIELDS, faults)
    _check_corrects(fields.get("corrects"), faults)
    _check_action(fields, faults)
    check_decimal(fields.get("quantity_delta"), "quantity_delta", faults, signed=True, required=False)
    _check_replacement(fields.get("replacement"), faults)
    check_reason_code(fields.get("reason_code"), CorrectionReason, faults, required=True)
    check_text(fields.get("note"), "note", limits.NOTE_CHARACTERS, faults, required=False, lines=True)
    check_text(
        fields.get("correlation_id"), "correlation_id", limits.TRACE_CHARACTERS, faults, required=False
    )


def _check_corrects(value: JsonValue, faults: Faults) -> None:
    rule = "name the event that is corrected by source and id"
    if value is None:
        faults.add(RejectionCode.CORRECTION_WITHOUT_ORIGINAL, "corrects", None, rule)
    elif not isinstance(value, dict):
        faults.add(RejectionCode.WRONG_TYPE, "corrects", value, rule)
    else:
        check_unknown(value, ("source", "id"), "corrects.", faults)
        for name, characters in (("source", limits.SOURCE_CHARACTERS), ("id", limits.ID_CHARACTERS)):
            if value.get(name) is None:
                faults.add(RejectionCode.CORRECTION_WITHOUT_ORIGINAL, f"corrects.{name}", None, rule)
            else:
                check_text(value[name], f"corrects.{name}", characters, faults)


def _check_action(fields: Mapping[str, JsonValue], faults: Faults) -> None:
    action = fields.get("action")
    rule = "be one of void, adjust, replace"
    if action is None:
        faults.add(RejectionCode.MISSING_FIELD, "action", None, f"be given, and {rule}")
        return
    if not isinstance(action, str):
        faults.add(RejectionCode.WRONG_TYPE, "action", action, rule)
        return
    if action not in ("void", "adjust", "replace"):
        faults.add(RejectionCode.UNKNOWN_ACTION, "action", action, rule)
        return
    for owner, name in _FIELD_OF_ACTION.items():
        if action == owner and fields.get(name) is None:
            faults.add(RejectionCode.MISSING_FIELD, name, None, f"be given with the action {action}")
        elif action != owner and fields.get(name) is not None:
            rule = f"be left out with the action {action}"
            faults.add(RejectionCode.FIELD_NOT_OF_ACTION, name, fields[name], rule)


def _check_replacement(value: JsonValue, faults: Faults) -> None:
    if value is None:
        return
    rule = f"be an object of any of {', '.join(sorted(REPLACEMENT_FIELDS))}"
    if not isinstance(value, dict):
        faults.add(RejectionCode.WRONG_TYPE, "replacement", value, rule)
        return
    if all(entry is None for entry in value.values()):
        faults.add(RejectionCode.EMPTY, "replacement", value, rule)
    check_unknown(value, REPLACEMENT_FIELDS, "replacement.", faults)
    for name, characters in (
        ("customer_id", limits.ID_CHARACTERS),
        ("project_id", limits.ID_CHARACTERS),
        ("unit", limits.UNIT_CHARACTERS),
    ):
        field = f"replacement.{name}"
        check_text(value.get(name), field, characters, faults, required=False, slash=name != "customer_id")
    check_dimensions(value.get("dimensions"), "replacement.dimensions", faults)
    check_boolean(value.get("billable"), "replacement.billable", faults)
    check_decimal(value.get("quantity"), "replacement.quantity", faults, required=False)

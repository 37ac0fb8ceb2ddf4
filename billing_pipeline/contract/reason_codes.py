"""Every reason code of the pipeline, each with its meaning; `docs/reason-codes.md` is made from here."""

from enum import StrEnum
from typing import Self


class _Code(StrEnum):
    """A code as it stands in events and tables, with what it means."""

    meaning: str

    def __new__(cls, code: str, meaning: str) -> Self:
        """A member whose value is the code itself."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member


class UsageReason(_Code):
    """Why a usage event is billable or not; required whenever `billable` is false."""

    CUSTOMER_USAGE = "customer_usage", "The customer asked for this work."
    INTERNAL_RETRY = "internal_retry", "Our own retry of work that the customer asked for once."
    PROVIDER_ERROR = "provider_error", "The model provider failed, the customer got nothing for it."
    SYSTEM_ERROR = "system_error", "Our own system failed, the customer got nothing for it."
    FREE_TIER = "free_tier", "The use falls under a free tier."
    TRIAL = "trial", "The use falls into the customer's trial."
    TEST = "test", "Traffic of a test, of nobody's account."
    GOODWILL = "goodwill", "We chose not to bill it."


class CorrectionReason(_Code):
    """Why an earlier event counts for something else; required in every correction."""

    METERING_ERROR = "metering_error", "The quantity, unit or dimensions were measured wrongly."
    WRONG_CUSTOMER = "wrong_customer", "The event was booked to a customer or project that did not cause it."
    DUPLICATE_EMISSION = "duplicate_emission", "One action was sent as several events of distinct identities."
    SERVICE_FAILURE = "service_failure", "The service failed after the event had been sent."
    TEST_TRAFFIC = "test_traffic", "The event came from a test."
    GOODWILL = "goodwill", "We chose to take it off the bill."
    DISPUTE = "dispute", "The customer disputed the event and was found right."


class CorrectionOutcome(_Code):
    """What became of a correction. A refused one has not counted: mended its cause, it can be sent again as it is."""

    APPLIED = "applied", "It changed what the event counts for."
    ORIGINAL_NOT_FOUND = (
        "original_not_found",
        "No usage event of that source and id counted before it in the log; it may have come ahead of it.",
    )
    NOT_CORRECTABLE = "not_correctable", "What it refers to is a correction; correct the usage event instead."
    EFFECTIVE_NEGATIVE = "effective_negative", "The event would count for less than nothing."
    EFFECTIVE_TOO_LARGE = (
        "effective_too_large",
        "The event would count for a quantity of more than 29 integer digits.",
    )
    UNKNOWN_CUSTOMER = (
        "unknown_customer",
        "The customer it moves the event to was not registered when it was received.",
    )
    UNKNOWN_PROJECT = (
        "unknown_project",
        "The customer it moves the event to had no such project when it was received.",
    )
    UNKNOWN_UNIT = "unknown_unit", "The rule book that the event is metered under knows no such unit."


class RejectionCode(_Code):
    """Why a record was rejected. From `unknown_customer` on it takes the log or a rule book to know."""

    RECORD_TOO_LARGE = "record_too_large", "The record is longer than 64 KiB."
    INVALID_UTF8 = "invalid_utf8", "The record is not valid UTF-8 text."
    NUL_CHARACTER = "nul_character", "The record, or one of its texts, holds a NUL character."
    TOO_DEEP = "too_deep", "Objects and lists are nested more than 8 deep."
    INVALID_JSON = "invalid_json", "The record is not one JSON value."
    NOT_AN_OBJECT = "not_an_object", "The record is JSON, but not an object."
    DUPLICATE_KEY = "duplicate_key", "An object names the same key more than once."
    CONTRADICTING_FIELDS = (
        "contradicting_fields",
        "A CloudEvents attribute and the event's data give different values for one field.",
    )
    INVALID_ENVELOPE = (
        "invalid_envelope",
        "The CloudEvents envelope is of another version, or its data is no JSON object.",
    )
    UNKNOWN_TYPE = "unknown_type", "The type is neither `usage` nor `correction`."
    UNKNOWN_SCHEMA_VERSION = "unknown_schema_version", "The schema version is not one of 1 and 2."
    FIELD_NOT_IN_SCHEMA_VERSION = (
        "field_not_in_schema_version",
        "The field exists only in a later schema version than the event claims.",
    )
    UNKNOWN_FIELD = "unknown_field", "The contract knows no such field."
    MISSING_FIELD = "missing_field", "A required field is absent or null."
    WRONG_TYPE = "wrong_type", "The value is of another JSON type than the field."
    EMPTY = "empty", "The text, list or object is empty where something is needed."
    TOO_LONG = "too_long", "The text has more characters than the field may have."
    INVALID_CHARACTER = (
        "invalid_character",
        "The text holds a control character, half a surrogate pair, or (in a customer's id) a slash.",
    )
    INVALID_INSTANT = (
        "invalid_instant",
        "The time is no RFC 3339 date and time with an offset from UTC, or does not exist.",
    )
    FLOAT_QUANTITY = (
        "float_quantity",
        "The decimal is a JSON number with a point or an exponent; send it as a string.",
    )
    NEGATIVE_QUANTITY = "negative_quantity", "The quantity is below zero."
    OVER_PRECISE_QUANTITY = (
        "over_precise_quantity",
        "The decimal has more than 29 integer or more than 9 fractional digits.",
    )
    INVALID_QUANTITY = "invalid_quantity", "The decimal is not digits with at most one point between them."
    TOO_MANY_DIMENSIONS = "too_many_dimensions", "There are more than 16 dimensions."
    MISSING_REASON_CODE = (
        "missing_reason_code",
        "An event that is not billable, or a correction, says no reason.",
    )
    UNKNOWN_REASON_CODE = "unknown_reason_code", "The reason code is not one of those for this type of event."
    TOO_MANY_SHARES = "too_many_shares", "There are more than 16 allocation shares."
    INVALID_SHARE = (
        "invalid_share",
        "The share is no decimal text above 0 and up to 1 with at most 18 fractional digits.",
    )
    SHARES_NOT_ONE = "shares_not_one", "The allocation shares do not add up to exactly 1."
    UNKNOWN_ACTION = "unknown_action", "The correction's action is not one of `void`, `adjust` and `replace`."
    CORRECTION_WITHOUT_ORIGINAL = (
        "correction_without_original",
        "The correction does not say in `corrects` which event, by source and id, it changes.",
    )
    FIELD_NOT_OF_ACTION = "field_not_of_action", "The field belongs to another action of a correction."
    NOT_PERMITTED = (
        "not_permitted",
        "The API key it came with may not write for this source or customer, or may not correct.",
    )

    UNKNOWN_CUSTOMER = (
        "unknown_customer",
        "No customer of this id was registered before the event was received.",
    )
    UNKNOWN_PROJECT = "unknown_project", "The customer had no project of this id when the event was received."
    CUSTOMER_CLOSED = "customer_closed", "The customer was closed before the event occurred."
    PROJECT_CLOSED = "project_closed", "The project was closed before the event occurred."
    UNKNOWN_UNIT = "unknown_unit", "No meter of the rule book in force counts this unit."
    FUTURE_TIME = "future_time", "The event occurred more than 5 minutes after it was received."
    TOO_LATE = (
        "too_late",
        "The event was received after its usage day's late window, or late where late is refused.",
    )
    NO_RULES_IN_FORCE = "no_rules_in_force", "The event occurred before the first rule book came into force."


def reason_codes_document() -> str:
    """The text of `docs/reason-codes.md`."""
    parts = [
        "# Reason codes\n",
        (
            "Made from `billing_pipeline/contract/reason_codes.py` by "
            "`python -m billing_pipeline.contract.reason_codes > docs/reason-codes.md`.\n"
        ),
    ]
    for title, codes in (
        ("Usage events (`reason_code`)", UsageReason),
        ("Corrections (`reason_code`)", CorrectionReason),
        ("Outcomes of corrections (`usage_corrections.outcome`)", CorrectionOutcome),
        ("Rejections (`rejected_usage_events.reason_code`)", RejectionCode),
    ):
        rows = "\n".join(f"| `{code.value}` | {code.meaning} |" for code in codes)
        parts.append(
            f"## {title}\n\n{(codes.__doc__ or '').strip()}\n\n| code | meaning |\n|---|---|\n{rows}\n"
        )
    return "\n".join(parts)


if __name__ == "__main__":
    import sys

    sys.stdout.write(reason_codes_document())

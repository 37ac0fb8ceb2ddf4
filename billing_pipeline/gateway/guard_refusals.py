"""What callers are told of an error of the guard: each has its status and code."""

from billing_pipeline.errors import (
    GuardConflictError,
    GuardError,
    GuardRequestError,
    HoldNotFoundError,
    RequestRefusedError,
    ReviewNotFoundError,
    UnpricedUsageError,
)
from billing_pipeline.gateway.request_code import RequestCode

_RETRY_SECONDS = 2


def refusal_of(error: GuardError | TimeoutError) -> RequestRefusedError:
    """The answer to a request that the guard did not do."""
    message = str(error)
    match error:
        case GuardRequestError():
            return RequestRefusedError(
                400, RequestCode.INVALID_FIELD, message, field=error.field, value=error.value
            )
        case HoldNotFoundError():
            return RequestRefusedError(404, RequestCode.HOLD_NOT_FOUND, message)
        case ReviewNotFoundError():
            return RequestRefusedError(404, RequestCode.REVIEW_NOT_FOUND, message)
        case GuardConflictError():
            return RequestRefusedError(409, error.code, message)
        case UnpricedUsageError():
            return RequestRefusedError(422, RequestCode.UNPRICED_USAGE, message)
        case TimeoutError():
            message = "the ledger did not answer in time; what was asked may be done all the same"
    return RequestRefusedError(
        503, RequestCode.GUARD_UNAVAILABLE, message, retry_after_seconds=_RETRY_SECONDS
    )

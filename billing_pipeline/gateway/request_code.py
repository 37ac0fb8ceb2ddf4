"""Why a request was not taken: the codes of the gateway's answers, besides those of refused events."""

from enum import StrEnum


class RequestCode(StrEnum):
    """Each is explained in `docs/gateway.md`."""

    INVALID_FRAMING = "invalid_framing"
    NO_EVENTS = "no_events"
    BAD_COMPRESSION = "bad_compression"
    INVALID_PARAMETER = "invalid_parameter"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    BODY_TOO_SLOW = "body_too_slow"
    HEADERS_TOO_SLOW = "headers_too_slow"
    BODY_TOO_LARGE = "body_too_large"
    TOO_MANY_EVENTS = "too_many_events"
    BATCH_TOO_LARGE = "batch_too_large"
    UNSUPPORTED_CONTENT_TYPE = "unsupported_content_type"
    UNSUPPORTED_CHARSET = "unsupported_charset"
    UNSUPPORTED_CONTENT_ENCODING = "unsupported_content_encoding"
    UNSUPPORTED_CONTENT_MODE = "unsupported_content_mode"
    RATE_LIMITED = "rate_limited"
    HEADERS_TOO_LARGE = "headers_too_large"
    INTERNAL = "internal"
    QUEUE_FULL = "queue_full"
    GATEWAY_BUSY = "gateway_busy"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    CLOCK_NOT_TRUSTED = "clock_not_trusted"
    SHUTTING_DOWN = "shutting_down"
    QUEUE_FAILED = "queue_failed"

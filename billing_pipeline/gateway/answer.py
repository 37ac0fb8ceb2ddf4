"""What the gateway answers: status, JSON and headers."""

from dataclasses import dataclass, field

import msgspec

from billing_pipeline.errors import RequestRefusedError
from billing_pipeline.gateway.admission import Admission

_ENCODER = msgspec.json.Encoder()
Headers = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class Answer:
    """One answer; `accepted`, `refused` and `code` are told in the log."""

    status: int
    body: bytes
    headers: Headers = field(default_factory=list)
    accepted: int = 0
    refused: int = 0
    code: str | None = None


def settled(admission: Admission) -> Answer:
    """Every event has been decided: accepted durably, or refused and kept with its reason."""
    accepted, refused = admission.accepted, len(admission.refusals)
    if not refused:
        return Answer(202, b'{"accepted":%d,"refused":0}' % accepted, accepted=accepted)
    return _with_errors(207 if accepted else 422, accepted, admission)


def undone(admission: Admission) -> Answer:
    """Nothing was taken, because all was wanted or nothing and some events are refused."""
    return _with_errors(422, 0, admission)


def refused(error: RequestRefusedError) -> Answer:
    """The request could not be taken."""
    told: dict[str, object] = {"code": error.code, "message": error.message}
    if error.limit is not None:
        told["limit"] = error.limit
    if error.field is not None:
        told |= {"field": error.field, "value": error.value}
    headers: Headers = []
    if error.retry_after_seconds is not None:
        headers.append((b"retry-after", b"%d" % error.retry_after_seconds))
    if error.status == 401:  # noqa: PLR2004 - the status
        headers.append((b"www-authenticate", b'Bearer realm="billing"'))
    return Answer(error.status, _ENCODER.encode({"error": told}), headers, code=error.code)


def _with_errors(status: int, accepted: int, admission: Admission) -> Answer:
    refused_count = len(admission.refusals)
    told = {"accepted": accepted, "refused": refused_count, "errors": admission.refusals}
    return Answer(status, _ENCODER.encode(told), accepted=accepted, refused=refused_count)

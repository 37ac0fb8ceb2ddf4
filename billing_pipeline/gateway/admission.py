"""The events of a request, each let into the log or refused: by the contract, and by what the sender may write."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from billing_pipeline.access.scope import Denial, Scope
from billing_pipeline.contract.door import Admitted, admit, not_permitted
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.log_lines import record_line
from billing_pipeline.errors import RequestRefusedError
from billing_pipeline.gateway.byte_budget import Share
from billing_pipeline.gateway.framing import Frame
from billing_pipeline.gateway.limits import LINES_BYTES, SLICE_EVENTS
from billing_pipeline.gateway.request_code import RequestCode


class Refusal(msgspec.Struct, frozen=True):
    """One refused event, as it is answered: its place in the request, and its first fault; the message says all."""

    index: int
    code: str | None
    field: str | None
    value: str | None
    message: str | None


@dataclass(slots=True)
class Admission:
    """What became of a request's events: a line of the log for each, in their order."""

    lines: list[bytes] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    @property
    def accepted(self) -> int:
        """Events that count."""
        return len(self.lines) - len(self.refusals)


class _Corrected(msgspec.Struct):
    kind: str
    corrects_source: str = ""


_CORRECTED = msgspec.json.Decoder(_Corrected)


async def admit_all(frames: Sequence[Frame], scope: Scope, share: Share) -> Admission:
    """Every event of a request; other requests have their turn in between.

    Raises:
        RequestRefusedError: the lines are more than one request may bring, or than there is memory for now.
    """
    admission = Admission()
    size_bytes = 0
    for start in range(0, len(frames), SLICE_EVENTS):
        if start:
            await asyncio.sleep(0)
        slice_bytes = _admit_slice(admission, frames[start : start + SLICE_EVENTS], scope)
        share.take(slice_bytes)
        size_bytes += slice_bytes
        if size_bytes > LINES_BYTES:
            raise RequestRefusedError(
                413,
                RequestCode.BATCH_TOO_LARGE,
                f"the events take more than {LINES_BYTES} bytes in the log; send fewer at once",
                limit=LINES_BYTES,
            )
    return admission


def _admit_slice(admission: Admission, frames: Sequence[Frame], scope: Scope) -> int:
    """Adds to the admission; returns the bytes that were added, with their line feeds."""
    limited = scope.customers is not None or scope.sources is not None
    lines, size_bytes = admission.lines, len(frames)
    for frame in frames:
        payload = bytes(frame)
        found = admit(payload)
        if limited and isinstance(found, Admitted) and (denial := _denial(found, scope)) is not None:
            found = not_permitted(payload, denial.field, denial.value, denial.rule)
        if isinstance(found, Admitted):
            line = found.line
        else:
            admission.refusals.append(_refusal(len(lines), found))
            line = record_line(found)
        lines.append(line)
        size_bytes += len(line)
    return size_bytes


def _denial(admitted: Admitted, scope: Scope) -> Denial | None:
    denial = scope.denial(admitted.source, admitted.payers)
    if denial is None and admitted.line.startswith(b"{"):
        record = _CORRECTED.decode(admitted.line)
        if record.kind == "correction":
            return scope.denial_of_correction(record.corrects_source)
    return denial


def _refusal(index: int, record: LogRecord) -> Refusal:
    return Refusal(index, record.fault_code, record.fault_field, record.fault_value, record.fault_message)

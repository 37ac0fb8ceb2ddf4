"""The door of the log: an event's bytes in, the line that the durable queue keeps of it out, or its faults."""

from typing import NamedTuple

import msgspec

from billing_pipeline.contract.fault import Faults
from billing_pipeline.contract.log import LogRecord
from billing_pipeline.contract.log_lines import plain_line, record_line
from billing_pipeline.contract.parsing import invalid_record, parse
from billing_pipeline.contract.plain_usage import plain_usage
from billing_pipeline.contract.reason_codes import RejectionCode
from billing_pipeline.contract.records import AllocatedShare

_SHARES = msgspec.json.Decoder(list[AllocatedShare])


class _Payer(msgspec.Struct):
    customer_id: str | None = None


_PAYER = msgspec.json.Decoder(_Payer)


class Admitted(NamedTuple):
    """A valid event: its line, who sent it, and every customer it names."""

    line: bytes
    source: str
    payers: tuple[str, ...]


def admit(payload: bytes) -> Admitted | LogRecord:
    """What the queue is to keep of one event in any of its forms; never raises.

    A record comes back for an event that breaks the contract: of kind `invalid`, with its first fault and the message
    of all of them. It belongs into the log too, for `rejected_usage_events`.
    """
    event = plain_usage(payload)
    if event is not None:
        return Admitted(plain_line(payload), event.source, (event.customer_id,))
    record = parse(payload)
    if record.kind == "invalid":
        return record
    return Admitted(record_line(record), record.source or "", _payers(record))


def not_permitted(payload: bytes, field: str, value: str, rule: str) -> LogRecord:
    """What the queue is to keep of a valid event whose sender may not write it; the rule follows "must"."""
    found = Faults()
    found.add(RejectionCode.NOT_PERMITTED, field, value, rule)
    return invalid_record(payload, found.found)


def _payers(record: LogRecord) -> tuple[str, ...]:
    found = [record.customer_id]
    if record.allocations is not None:
        found += [share.customer_id for share in _SHARES.decode(record.allocations)]
    if record.replacement is not None:
        found.append(_PAYER.decode(record.replacement).customer_id)
    return tuple(dict.fromkeys(customer_id for customer_id in found if customer_id is not None))

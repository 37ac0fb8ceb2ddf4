"""Corrections in the order of the log: which event each refers to, whether it counts, and what it books. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import msgspec

from billing_pipeline.contract.reason_codes import CorrectionOutcome
from billing_pipeline.contract.records import AllocatedShare
from billing_pipeline.metering.effective import (
    Change,
    EffectiveState,
    Known,
    Payer,
    Replacement,
    corrected,
)

Identity = tuple[str, str]
_SHARES = msgspec.json.Decoder(list[AllocatedShare])
_REPLACEMENT = msgspec.json.Decoder(Replacement)


class ChainRecord(NamedTuple):
    """A valid record, as much of it as corrections need; fields as the columns of `valid_usage_events`."""

    receipt_day: date
    queue_offset: int
    received_at: datetime
    kind: str
    source: str
    id: str
    payload_digest: bytes
    usage_day: date | None
    rule_version: str | None
    customer_id: str | None
    project_id: str | None
    unit: str | None
    quantity: Decimal | None
    dimensions: str | None
    billable: bool | None
    allocations: str | None
    corrects_source: str | None
    corrects_id: str | None
    action: str | None
    quantity_delta: Decimal | None
    replacement: str | None
    reason_code: str | None
    note: str | None
    correlation_id: str | None

    @property
    def identity(self) -> Identity:
        """What tells it from other records."""
        return (self.source, self.id)

    @property
    def target(self) -> Identity:
        """Of a correction: what it refers to."""
        return (self.corrects_source or "", self.corrects_id or "")

    def state(self) -> EffectiveState:
        """Of a usage event: what it counts for before any correction."""
        shares = _SHARES.decode(self.allocations) if self.allocations else []
        return EffectiveState(
            customer_id=self.customer_id or "",
            project_id=self.project_id or "",
            unit=self.unit or "",
            dimensions=self.dimensions or "{}",
            billable=bool(self.billable),
            quantity=self.quantity or Decimal(),
            payers=tuple(Payer(each.customer_id, each.project_id, each.share) for each in shares),
        )

    def change(self) -> Change:
        """Of a correction: what it asks for."""
        replacement = _REPLACEMENT.decode(self.replacement) if self.replacement else None
        return Change(self.action or "", self.quantity_delta, replacement)


class Judged(NamedTuple):
    """A correction and what became of it; the states are those of an applied one."""

    correction: ChainRecord
    original: ChainRecord | None
    outcome: CorrectionOutcome
    before: EffectiveState | None = None
    after: EffectiveState | None = None


@dataclass
class Verdicts:
    """What became of some corrections.

    `repeats` has the offsets of those that repeat an earlier record of the same content: the one that was applied, or
    None where the earlier ones were refused, so that this one has been looked at anew.
    """

    judged: list[Judged] = field(default_factory=list)
    repeats: dict[int, ChainRecord | None] = field(default_factory=dict)


class CorrectionChain:
    """Judges corrections over all records of their identities and of what they correct.

    Args:
        records: all valid records of these identities, of every day up to the last one that is judged.
        window: how many days back an identity is looked up by a record of a receipt day; None without limit.
        known: what a correction at an offset may move an event of a rule version to.
        requeued: identities that were sent again, each since when: they never expire from then on.
    """

    def __init__(
        self,
        records: Iterable[ChainRecord],
        window: Callable[[date], int | None],
        known: Callable[[int, str], Known],
        requeued: Mapping[Identity, date] | None = None,
    ) -> None:
        self._by_identity: dict[Identity, list[ChainRecord]] = {}
        self._by_target: dict[Identity, list[ChainRecord]] = {}
        self._window = window
        self._known = known
        self._requeued = requeued or {}
        for record in sorted(records, key=lambda each: each.queue_offset):
            self._by_identity.setdefault(record.identity, []).append(record)
            if record.kind == "correction":
                self._by_target.setdefault(record.target, []).append(record)

    def judge(self, days: Sequence[date]) -> Verdicts:
        """What became of the corrections received on some days."""
        chosen, verdicts = set(days), Verdicts()
        for target, corrections in self._by_target.items():
            if any(each.receipt_day in chosen for each in corrections):
                self._judge_target(target, corrections, chosen, verdicts)
        verdicts.judged.sort(key=lambda each: each.correction.queue_offset)
        return verdicts

    def _judge_target(
        self, target: Identity, corrections: Sequence[ChainRecord], chosen: set[date], verdicts: Verdicts
    ) -> None:
        states: dict[int, EffectiveState] = {}
        applied: dict[Identity, ChainRecord] = {}
        for correction in corrections:
            holder = self._by_identity[correction.identity][0]
            if holder.payload_digest != correction.payload_digest:
                continue  # a conflict, whatever became of the one it conflicts with
            if correction.identity in applied:
                verdicts.repeats[correction.queue_offset] = applied[correction.identity]
                continue
            if correction is not holder:
                verdicts.repeats[correction.queue_offset] = None
            judged = self._judge_one(target, correction, states)
            if judged.after is not None and judged.original is not None:
                states[judged.original.queue_offset] = judged.after
                applied[correction.identity] = correction
            if correction.receipt_day in chosen:
                verdicts.judged.append(judged)

    def _judge_one(
        self, target: Identity, correction: ChainRecord, states: dict[int, EffectiveState]
    ) -> Judged:
        counted = list(self._counted(target, correction.queue_offset))
        usage = [record for record in counted if record.kind == "usage"]
        if not usage:
            known_as_correction = bool(counted)
            outcome = (
                CorrectionOutcome.NOT_CORRECTABLE
                if known_as_correction
                else CorrectionOutcome.ORIGINAL_NOT_FOUND
            )
            return Judged(correction, None, outcome)
        original = usage[-1]
        before = states.get(original.queue_offset) or original.state()
        known = self._known(correction.queue_offset, original.rule_version or "")
        after = corrected(before, correction.change(), known)
        if isinstance(after, CorrectionOutcome):
            return Judged(correction, original, after)
        return Judged(correction, original, CorrectionOutcome.APPLIED, before, after)

    def _counted(self, identity: Identity, before_offset: int) -> Iterator[ChainRecord]:
        """The records of an identity below an offset that repeat nothing, as the identity stage decides it."""
        records = self._by_identity.get(identity, [])
        named = [each.receipt_day for each in self._by_target.get(identity, [])]
        named += [each.receipt_day for each in records if each.kind == "correction"]
        lasting_since = min(*named, self._requeued.get(identity, date.max), date.max)
        for position, record in enumerate(records):
            if record.queue_offset >= before_offset:
                return
            window = self._window(record.receipt_day)
            if window is None or record.receipt_day >= lasting_since:
                repeats = position > 0
            else:
                oldest = record.receipt_day - timedelta(days=window)
                repeats = any(earlier.receipt_day >= oldest for earlier in records[:position])
            if not repeats:
                yield record

"""Every error of the pipeline, in one tree. Each carries the fields it speaks of and says what to do.

`billing` catches `BillingError` at the top and prints it without a traceback; Dagster shows it on the failed step.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple


class BillingError(Exception):
    """The root. Caught by the `billing` command, which exits with status 1."""


class SettingsError(BillingError):
    """A setting is missing or wrong. Caught by nobody but the command: nothing can run."""


class QueueError(BillingError):
    """The durable queue cannot do what was asked. Caught by the importer and the gateway, which stop."""


class QueueCorruptError(QueueError):
    """A stored batch does not match its checksum. Caught by nobody: landing stops before the damaged batch."""

    def __init__(self, path: str, first_offset: int) -> None:
        self.path = path
        self.first_offset = first_offset
        super().__init__(
            f"the batch at offset {first_offset} of {path} does not match its checksum; "
            "restore the file from its backup, nothing after this offset has been landed"
        )


class QueuePrunedError(QueueError):
    """What is to be read was landed and then deleted. Caught by nobody: the reader is far behind what is kept."""

    def __init__(self, offset: int, first_kept_offset: int) -> None:
        self.offset = offset
        self.first_kept_offset = first_kept_offset
        super().__init__(
            f"offset {offset} is not in the queue any more: all below {first_kept_offset} was landed and then pruned; "
            "look for it in raw_usage_events. A lake that was lost is restored from its backup, not landed anew"
        )


class ClockError(QueueError):
    """A receipt time or a watermark is not possible. Caught by the importer, which stops before it appends."""


class QueueLockedError(QueueError):
    """Another writer did not give way in time. Caught by the gateway, which answers that it is not ready."""

    def __init__(self, lock_path: str, waited_seconds: float) -> None:
        self.lock_path = lock_path
        self.waited_seconds = waited_seconds
        super().__init__(
            f"another writer holds {lock_path} (waited {waited_seconds:g} s); writers take turns, but this one "
            "did not give way, or too many wait. Try again; if that lasts, look for a stopped process that has the "
            "file open. The lock ends with its process: the file itself need not be removed"
        )


class QueueFailedError(QueueError):
    """What the disk holds is unknown after an I/O error. Caught by nobody: `billing serve` stops its process."""

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(
            f"{path} could not be made durable ({reason}); nothing of this batch is acknowledged and nothing more "
            "is written. See to the disk, then start the process again: opening the file anew writes again what "
            "is in doubt"
        )


class QueueFullError(QueueError):
    """Nothing was taken in because the writer is behind. Caught by the gateway, which answers 503."""

    def __init__(self, buffered_bytes: int, waited_seconds: float) -> None:
        self.buffered_bytes = buffered_bytes
        self.waited_seconds = waited_seconds
        super().__init__(
            f"the queue's buffer is full ({buffered_bytes} bytes wait for the disk, "
            f"waited {waited_seconds:g} s); nothing of this batch was taken in: "
            "send it again later, with fewer writers at a time"
        )


class RequestRefusedError(BillingError):
    """A request to the gateway cannot be taken; nothing of it was. Caught by the gateway, which answers with it."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        limit: int | None = None,
        retry_after_seconds: int | None = None,
        field: str | None = None,
        value: str | None = None,
    ) -> None:
        self.status = status
        self.code = code
        self.message = message
        self.limit = limit
        self.field = field
        self.value = value
        self.retry_after_seconds = retry_after_seconds
        super().__init__(f"{code}: {message}")


class GatewayError(BillingError):
    """The gateway cannot be served. Caught by nobody but the command."""


class ApiKeyError(BillingError):
    """An API key cannot be issued or changed as asked. Caught by nobody but the command; nothing was recorded."""


class GuardError(BillingError):
    """The guard did not do what was asked. The root of what the guard's callers catch."""


class GuardDeniedError(GuardError):
    """Nothing was held: the action must not run. Caught by the product, which tells its user or tries less.

    Amounts are nano-units (10⁻⁹ of the currency's major unit); `resets_at` is UTC µs.
    """

    def __init__(
        self,
        *,
        rule: str,
        scope: str,
        currency: str,
        asked: int,
        window: str | None = None,
        limit: int | None = None,
        left: int | None = None,
        resets_at: int | None = None,
        message: str,
    ) -> None:
        self.rule = rule
        self.scope = scope
        self.currency = currency
        self.asked = asked
        self.window = window
        self.limit = limit
        self.left = left
        self.resets_at = resets_at
        super().__init__(message)


class GuardRequestError(GuardError):
    """A request to the guard is not possible. Caught by the gateway, which answers 400; nothing was moved."""

    def __init__(self, field: str, value: object, what_to_do: str) -> None:
        self.field = field
        self.value = str(value)[:200]
        self.what_to_do = what_to_do
        super().__init__(f"{field} {self.value!r}: {what_to_do}")


class UnpricedUsageError(GuardError):
    """Usage has no price, or none that bounds it: it is refused, not free. Caught by the gateway: 422."""

    def __init__(self, what: str, what_to_do: str) -> None:
        self.what = what
        self.what_to_do = what_to_do
        super().__init__(f"{what} has no price: {what_to_do}")


class GrantsRefusedError(GuardError):
    """The guard's ledger would not take some credit grants of the registry. Caught by the chore, which tells it.

    `refused` says why, by customer, currency and grant.
    """

    def __init__(self, refused: Mapping[tuple[str, str, str], str]) -> None:
        self.refused = dict(refused)
        (customer_id, _, grant_id), why = next(iter(self.refused.items()))
        super().__init__(
            f"{len(self.refused)} credit grants were not taken by the guard's ledger, the first: {grant_id} of "
            f"{customer_id} ({why}); void it and grant it anew, it pays at the invoice all the same"
        )


class GuardConflictError(GuardError):
    """An idempotency key was used for another request, or a hold has ended otherwise. Caught by the gateway: 409."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


class HoldNotFoundError(GuardError):
    """There is no such hold. Caught by the gateway: 404."""

    def __init__(self, hold_id: str) -> None:
        self.hold_id = hold_id
        super().__init__(f"there is no hold {hold_id!r}; give the hold_id that reserve answered")


class ReviewNotFoundError(GuardError):
    """There is no such review item. Caught by the gateway: 404."""

    def __init__(self, review_id: str) -> None:
        self.review_id = review_id
        super().__init__(
            f"there is no review item {review_id!r}; `billing review list` shows those that wait"
        )


class GuardRefusedError(GuardError):
    """The gateway did not take a request for whom or how it was asked. Caught by nobody: a person mends the key."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status = status
        self.code = code
        super().__init__(
            f"{status} {code}: {message}; nothing was moved. See to the API key (its right guard:use, its customers) "
            "and to the address"
        )


class GuardUnavailableError(GuardError):
    """The store cannot be reached or written. Caught by the client, which fails closed unless told otherwise."""


class CloseGateError(BillingError):
    """A day cannot be closed yet. Caught by the daily schedule, which tries again at its next tick."""


class LakeError(BillingError):
    """A table of the lake cannot be read or written. Caught by nobody but the command and the run."""


class EngineOverflowError(BillingError):
    """A value has more digits than its type. Caught by the rollups, which look for the row."""


class QuantityOverflowError(BillingError):
    """What a customer used cannot be added up. Caught by nobody but the command and the run."""

    def __init__(
        self,
        *,
        posting_day: date,
        rule_version: str,
        customer_id: str,
        project_id: str,
        unit: str,
        event: str,
    ) -> None:
        self.posting_day = posting_day
        self.rule_version = rule_version
        self.customer_id = customer_id
        self.project_id = project_id
        self.unit = unit
        self.event = event
        super().__init__(
            f"posting day {posting_day}, rule version {rule_version}: what customer {customer_id}, project "
            f"{project_id} used in {unit} has more digits than can be stored; the largest event is {event}. No number "
            "was cut off and nothing was written. Stop its producer; usage of this size cannot be billed"
        )


class LandingChainError(LakeError):
    """The raw table is not what was recorded of it. Caught by nobody: nothing is landed behind a doubtful log."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"{reason}; nothing is landed behind it. `billing verify` says more. Restore lake and control database "
            "from one backup, or remove the lake whole and land it anew from the queue (docs/operations.md, Backup)"
        )


class EngineFileError(LakeError):
    """A file is missing or damaged. Caught by `billing verify`, which goes on with its next check."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"a file cannot be read ({reason}); if it is one of the lake's, restore it from a backup, or make its "
            "partition again"
        )


class DialectError(BillingError):
    """A statement cannot be run on the chosen engine. Caught by nobody: it is a fault of the statement."""

    def __init__(self, construct: str, why: str) -> None:
        self.construct = construct
        self.why = why
        super().__init__(f"Spark cannot run {construct!r}: {why}")


class DocumentFault:
    """One fault of a document people write (rule book, registry seed): where it is and what to do."""

    def __init__(self, path: str, line: int, field: str, message: str) -> None:
        self.path = path
        self.line = line
        self.field = field
        self.message = message

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.field}: {self.message}"


class DocumentError(BillingError):
    """A rule book or a registry seed has faults; all of them are listed. Caught by `billing rules check`."""

    def __init__(self, faults: Sequence[DocumentFault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in faults))


class ControlDatabaseError(BillingError):
    """The control database cannot be used as it is. Caught by nobody but the command: nothing can run."""

    def __init__(self, url: str, reason: str) -> None:
        self.url = url
        self.reason = reason
        super().__init__(
            f"the control database {url} cannot be migrated: {reason}; it was probably made by a newer "
            "release, install that one or point BILLING_HOME at another home"
        )


class RuleBookChangedError(BillingError):
    """A rule book that has been used was edited. Caught by nobody: nothing is rated under doubtful rules."""

    def __init__(self, version: str, *, used_hash: str, found_hash: str) -> None:
        self.version = version
        self.used_hash = used_hash
        self.found_hash = found_hash
        super().__init__(
            f"rule book {version!r} has been used with content hash {used_hash}, but its file now has "
            f"{found_hash}; restore the file as it was and put the change into a new version with a later "
            "effective_from"
        )


class CurrencyError(BillingError):
    """A currency code is none of ISO 4217. Caught by nobody: rule books with it are refused on load."""

    def __init__(self, currency: str) -> None:
        self.currency = currency
        super().__init__(f"unknown currency {currency!r}; give a code of ISO 4217 in lower case, like usd")


class SimulatorError(BillingError):
    """The Stripe simulator cannot be served. Caught by nobody but the command and the run."""


class FaultRuleError(BillingError):
    """A fault that the simulator is to make cannot be understood. Caught by nobody but the command."""

    def __init__(self, rule: str, reason: str) -> None:
        self.rule = rule
        self.reason = reason
        super().__init__(f"fault {rule!r}: {reason}")


class StripeAmountError(BillingError):
    """Stripe cannot represent an amount. Caught by the push: this invoice is refused, the others go on."""

    def __init__(self, currency: str, amount_minor: int, reason: str) -> None:
        self.currency = currency
        self.amount_minor = amount_minor
        self.reason = reason
        super().__init__(
            f"{amount_minor} minor units of {currency} cannot be pushed to Stripe: {reason}; "
            "round the plan's prices so that lines come out in amounts that Stripe takes"
        )


class StripeError(BillingError):
    """Stripe did not do what was asked. Caught by the push, per customer: the others go on.

    `retry_after_seconds` is what Stripe asks us to wait; `replayed` says that the answer was kept for its key.
    """

    def __init__(
        self,
        operation: str,
        message: str,
        status: int | None = None,
        *,
        retry_after_seconds: float | None = None,
        replayed: bool = False,
    ) -> None:
        self.operation = operation
        self.status = status
        self.retry_after_seconds = retry_after_seconds
        self.replayed = replayed
        super().__init__(f"Stripe, {operation}: {message}" + (f" (HTTP {status})" if status else ""))


class StripeRefusedError(StripeError):
    """Stripe refused the request (4xx): it was not applied, and sending it again changes nothing."""


class MeterEventDuplicateError(StripeRefusedError):
    """Stripe has an event of this identifier. Caught by the sender: ours is delivered, its row never changes."""


class MeterEventTooOldError(StripeRefusedError):
    """The timestamp of a meter event lies more than 35 days back. Caught by the sender: it is expired."""


class StripeServerError(StripeError):
    """Stripe failed (5xx): whether the request was applied is open, and the key may replay the failure."""


class StripeUnreachableError(StripeError):
    """No answer, or not now (timeout, lost connection, 409, 429): send the same again with the same key."""


class StripeLinkError(BillingError):
    """A Stripe customer cannot stand for ours. Caught by nobody but the command; nothing was changed."""

    def __init__(self, customer_id: str, stripe_id: str, reason: str) -> None:
        self.customer_id = customer_id
        self.stripe_id = stripe_id
        super().__init__(
            f"{stripe_id} cannot be linked to {customer_id}: {reason}; name another, or leave it as it is"
        )


class MeterEventChangedError(BillingError):
    """A posting day would tell Stripe something else than it has. Caught by nobody but the command or the run."""

    def __init__(self, identifier: str, planned: int, wanted: int) -> None:
        self.identifier = identifier
        self.planned = planned
        self.wanted = wanted
        super().__init__(
            f"meter event {identifier} was planned with value {planned} and would now have {wanted}: the rollups of "
            "its posting day have changed after it was closed; see `billing replay` of that day"
        )


class MeterEventsBusyError(BillingError):
    """Another process sends meter events now. Caught by nobody but the command or the run."""

    def __init__(self, waited_seconds: int) -> None:
        self.waited_seconds = waited_seconds
        super().__init__(
            f"another process has been sending meter events for {waited_seconds} seconds; wait for it to end, then "
            "run again"
        )


class MeterEventError(BillingError):
    """What is asked of a meter event cannot be done. Caught by nobody but the command."""

    def __init__(self, identifier: str, reason: str, action: str) -> None:
        self.identifier = identifier
        super().__init__(f"meter event {identifier}: {reason}; {action}")


class SourceError(BillingError):
    """An input file is not what it was said to be. Caught by nobody but the command: nothing was appended."""

    def __init__(self, file: str, message: str) -> None:
        self.file = file
        super().__init__(f"{file}: {message}")


class ImportRefusedError(BillingError):
    """An import stopped before it appended anything. Caught by nobody but the command."""


class ImportFaultsError(ImportRefusedError):
    """The input has invalid lines and the import was to be strict."""

    def __init__(self, invalid: int, first: str) -> None:
        self.invalid = invalid
        super().__init__(
            f"{invalid} invalid lines, the first: {first}; nothing was appended. "
            "Mend them, or import without --strict: they are then kept as rejected records"
        )


class ImportLateError(ImportRefusedError):
    """The receipt times of an import make events late or too late."""

    def __init__(self, late: int, too_late: int, raised: int) -> None:
        self.late = late
        self.too_late = too_late
        self.raised = raised
        super().__init__(
            f"{late} events would be late and {too_late} too late (and so rejected); {raised} receipt times lie "
            "before the queue's clock and would be raised to it. Nothing was appended. "
            "Give receipt times of their own (--received-at), or go on with --allow-late"
        )


class StripeDifferenceError(StripeError):
    """What is in Stripe is not what is planned. Caught by the push: the invoice is refused, never finalized."""

    def __init__(self, push: str, differences: Sequence[str], action: str) -> None:
        self.push = push
        self.differences = tuple(differences)
        shown = "; ".join(self.differences[:5])
        more = len(self.differences) - 5
        super().__init__("compare", f"{push}: {shown}{f'; and {more} more' if more > 0 else ''}. {action}")


class StripeGoneError(StripeError):
    """A draft was deleted in Stripe. Caught by the push, which makes the next revision."""


class InvoicesNotPushedError(BillingError):
    """Invoices of ended periods did not get to Stripe; the days are closed. Caught by nobody but the command."""

    def __init__(self, told: str) -> None:
        super().__init__(f"{told}. Closing again goes on with what is left, once that is mended")


class CloseRunError(BillingError):
    """A run of the close failed. Caught by nobody but the command; closing again goes on from there."""

    def __init__(self, job: str, partitions: str, run_id: str, message: str) -> None:
        self.job = job
        self.partitions = partitions
        self.run_id = run_id
        super().__init__(
            f"{job} of {partitions} failed (run {run_id}): {message or 'see the run in the Dagster UI'}; "
            "mend it and close again"
        )


class QueryError(BillingError):
    """A query cannot be run over the tables. Caught by nobody but the command."""


class ReplayRefusedError(BillingError):
    """A day cannot be replayed as asked. Caught by nobody but the command; nothing was computed."""


class TraceNotFoundError(BillingError):
    """There is no such event, session or line to follow. Caught by nobody but the command."""


class ExplanationError(BillingError):
    """A file that is to be checked is no explanation of a line. Caught by nobody but the command."""


class NoInvoicePeriodError(BillingError):
    """No invoice period bears the name, or none that does has been invoiced; the message says which to close."""


class NoInvoiceError(BillingError):
    """There is no invoice of that customer and period. Caught by nobody but the command."""


class FocusFaultError(BillingError):
    """A row breaks a rule of FOCUS, so nothing was written; the message names column, rule and value."""


class SimulationRefusedError(BillingError):
    """A draft cannot be tried on a period as asked. Caught by nobody but the command; nothing was computed."""


class DemoRefusedError(BillingError):
    """The home holds a company that is not the demo's. Caught by nobody but the command."""


class RuleBookTooLateError(BillingError):
    """A new rule book would change a day that is closed. Caught by nobody: nothing is closed under it."""

    def __init__(self, version: str, effective_from: datetime, closed_through: date) -> None:
        self.version = version
        self.effective_from = effective_from
        self.closed_through = closed_through
        super().__init__(
            f"rule book {version} starts at {effective_from:%Y-%m-%dT%H:%M:%SZ}, but all days through {closed_through} "
            "are closed; let it start at or after the end of that day"
        )


class UnknownRuleVersionError(BillingError):
    """A rule book was named that does not exist. Caught by nobody but the command."""

    def __init__(self, name: str, near: str | None, known: Sequence[str]) -> None:
        self.name = name
        self.near = near
        self.known = tuple(known)
        hint = f"did you mean {near!r}?" if near else f"known versions are {', '.join(known)}"
        super().__init__(f"{name!r} is no file and no version of a rule book; {hint}")


class PriceImportError(BillingError):
    """Published prices cannot be imported as asked. Caught by nobody but the command; nothing was written."""


class RequeueCodeError(BillingError):
    """Records refused by an unknown code were to be sent again. Caught by nobody but the command."""

    def __init__(self, reason: str, counts: Mapping[str, int]) -> None:
        self.reason = reason
        self.counts = dict(counts)
        there = ", ".join(f"{code} ({count:,})" for code, count in self.counts.items())
        super().__init__(
            f"no record was refused as {reason!r}, and there is no such code; "
            + (f"refused were: {there}" if there else "no record was refused at all")
        )


class RegistryRefusedError(BillingError):
    """A change of the registry is not possible. Caught by nobody but the command; nothing was appended."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{reason}; nothing was appended")


class UnknownCustomerError(BillingError):
    """There is no such customer to show. Caught by nobody but the command."""

    def __init__(self, customer_id: str, known: Sequence[str]) -> None:
        self.customer_id = customer_id
        there = ", ".join(known[:20]) or "none yet: apply a registry file, or import with --register"
        super().__init__(f"customer {customer_id!r} is not registered; there are: {there}")


class ProviderUsageError(BillingError):
    """A provider's figures cannot be billed as they are. Caught by the adapters' exporter and callback."""

    def __init__(self, provider: str, field: str, value: object, rule: str) -> None:
        self.provider = provider
        self.field = field
        self.value = value
        self.rule = rule
        super().__init__(
            f"{provider}: {field} must {rule}, and is {value!r:.200}; no event was made of this usage"
        )


class EventFault(NamedTuple):
    """One fault of an event, as the client found it or the gateway told it."""

    code: str
    field: str
    value: str | None
    message: str


class EmitError(BillingError):
    """The client cannot take an event over. Caught by the product's service that emits."""


class EventFaultsError(EmitError):
    """An event breaks the contract; nothing of it was taken over. Caught by the product's service, or its tests."""

    def __init__(self, faults: Sequence[EventFault]) -> None:
        self.faults = tuple(faults)
        told = "; ".join(f"{fault.message} ({fault.code})" for fault in self.faults)
        super().__init__(f"the event was not taken over: {told}; mend it where it is made")


class ClientClosedError(EmitError):
    """The client is closed, or belongs to another process. Caught by nobody: it is a fault of the service."""


class SpoolError(EmitError):
    """The spool cannot be read or written. Caught by the product's service: the event was not taken over."""

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(
            f"the spool {path} cannot be used ({reason}); the event was not taken over. See to the disk, then make a "
            "new client: it sends what the spool holds"
        )


class SpoolFullError(EmitError):
    """Nothing was taken over because too much waits for the gateway. Caught by the product's service."""

    def __init__(self, waiting_bytes: int, limit_bytes: int) -> None:
        self.waiting_bytes = waiting_bytes
        self.limit_bytes = limit_bytes
        super().__init__(
            f"the spool is full: {waiting_bytes} bytes of events wait for the gateway, {limit_bytes} may; the event "
            "was not taken over. Look into what `last_problem` of the client says, and emit it again; a longer "
            "outage needs a larger `spool_bytes`"
        )


class SpoolLockedError(EmitError):
    """Another live client has the spool. Caught by the product's service when it starts."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        super().__init__(
            f"another client, in this process or another, uses the spool {directory}; two would send each other's "
            "events. Share one client, give every process a directory of its own, or say with `spool_slots` how "
            "many processes share this one. The lock ends with its process: the file need not be removed"
        )

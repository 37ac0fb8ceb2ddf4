"""The composition root: every part of the pipeline, opened from the settings, each once and only when needed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import date
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from billing_pipeline.contract.instants import microseconds_of
from billing_pipeline.contract.registry import RegistryChange
from billing_pipeline.errors import (
    BillingError,
    GrantsRefusedError,
    QueueFailedError,
    RuleBookTooLateError,
    SettingsError,
)
from billing_pipeline.ingest.landing import Lander
from billing_pipeline.ingest.queue import Queue
from billing_pipeline.ingest.sqlite_queue import SqliteQueue
from billing_pipeline.ingest.stored_queue import StoredQueue
from billing_pipeline.lake.duckdb_engine import DuckDBEngine, in_memory
from billing_pipeline.lake.engine import Engine
from billing_pipeline.lake.iceberg import Lake
from billing_pipeline.metering.calendar import DAY_US, Calendar, CloseTerms, start_of
from billing_pipeline.metering.stage import StageResult, Workshop
from billing_pipeline.rating.registry_files.loading import load_seed
from billing_pipeline.rating.rule_book import RuleBooks
from billing_pipeline.rating.rule_book_yaml import load_rule_books
from billing_pipeline.settings import Settings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from sqlalchemy import Engine as ControlDatabase

    from billing_pipeline.gateway.gateway import Gateway
    from billing_pipeline.gateway.guard_chores import Chore
    from billing_pipeline.guardrails.customers.current_customers import CurrentCustomers
    from billing_pipeline.guardrails.customers.registry_book import RegistryBook
    from billing_pipeline.guardrails.guard import Guard
    from billing_pipeline.guardrails.ledger_writer import LedgerWriter
    from billing_pipeline.guardrails.notices.sender import Webhook
    from billing_pipeline.guardrails.policies.policy import Policies
    from billing_pipeline.guardrails.ports import Pricer, TermsBook
    from billing_pipeline.guardrails.pricing.usage_pricer import UsagePricer
    from billing_pipeline.invoicing.policies.policy import InvoicingPolicies

Connect = Callable[[], AbstractContextManager["DuckDBPyConnection"]]


class Pipeline:
    """Queue, lake, compute engine, rules, registry and control database of one company."""

    def __init__(self, settings: Settings, connect: Connect = in_memory) -> None:
        self.settings = settings
        self._connect = connect

    @cached_property
    def books(self) -> RuleBooks:
        """All rule books.

        Raises:
            DocumentError: there is none, or one has faults.
        """
        return rule_books_in(self.settings.rule_books_path)

    @cached_property
    def seed(self) -> tuple[RegistryChange, ...]:
        """The registry seed: what was registered before the first record.

        Raises:
            DocumentError: it has faults, or agrees to what no rule book has.
        """
        return tuple(load_seed(self.settings.registry_path, self.books))

    @cached_property
    def calendar(self) -> Calendar:
        """Which day a record belongs to, under the close policies of the rule books."""
        return calendar_of(self.books)

    @cached_property
    def lake(self) -> Lake:
        """The tables."""
        return Lake(self.settings.lake_path)

    @cached_property
    def engine(self) -> Engine:
        """What computes over them: DuckDB, or Spark where the settings choose it."""
        settings = self.settings
        if settings.engine == "duckdb":
            return self.duckdb
        from billing_pipeline.lake.spark_engine import SparkEngine

        return SparkEngine(
            settings.spark_master, settings.memory_limit_mb, settings.threads, settings.scratch_path
        )

    @cached_property
    def duckdb(self) -> DuckDBEngine:
        """DuckDB, whatever computes: it lands the queue and answers `billing sql`, on the machine they run on."""
        settings = self.settings
        return DuckDBEngine(self._connect, settings.memory_limit_mb, settings.threads, settings.scratch_path)

    @cached_property
    def workshop(self) -> Workshop:
        """What the stages of the pipeline work with."""
        return Workshop(self.lake, self.engine, self.books, self.calendar, self.seed)

    @cached_property
    def control(self) -> "ControlDatabase":
        """The control database, migrated to head.

        Raises:
            SettingsError: it is to be PostgreSQL, and the driver is not installed or the URL cannot be read.
        """
        from sqlalchemy.exc import ArgumentError

        from billing_pipeline.control.database import open_control

        self.settings.home.mkdir(parents=True, exist_ok=True)
        try:
            return open_control(self.settings.control_url)
        except ImportError as error:
            raise SettingsError(
                f"BILLING_CONTROL_URL names PostgreSQL, but its driver cannot be loaded ({error}): "
                "pip install 'billing-pipeline[postgres]'"
            ) from error
        except (ArgumentError, ValueError) as error:
            # What was given is not repeated: it may hold a password.
            raise SettingsError(
                "BILLING_CONTROL_URL cannot be read; write postgresql://user@host:port/database, with special "
                "characters of a password as %XX, or leave the password to PGPASSFILE"
            ) from error

    def queue(self, on_failure: Callable[[QueueFailedError], None] | None = None) -> StoredQueue:
        """The durable queue; close it (or use it as a context manager) to let the next writer in.

        `on_failure` is told, by whichever thread finds it, where the file could not be made durable.

        Raises:
            SettingsError: it is to be PostgreSQL, and the driver is not installed or the URL cannot be read.
        """
        if self.settings.queue_url is None:
            self.settings.queue_path.parent.mkdir(parents=True, exist_ok=True)
            return SqliteQueue(self.settings.queue_path, on_failure=on_failure)
        try:
            from billing_pipeline.ingest.postgres_queue import PostgresQueue
        except ImportError as error:
            raise SettingsError(
                f"BILLING_QUEUE_URL names PostgreSQL, but its driver cannot be loaded ({error}): "
                "pip install 'billing-pipeline[postgres]'"
            ) from error
        return PostgresQueue(self.settings.queue_url)

    def serve(self) -> int:
        """Serve the gateway and the guard until it is stopped; returns the process's exit status.

        Raises:
            SettingsError: the webhook's secret cannot be read.
            GatewayError: the address cannot be listened on.
            QueueError: the queue cannot be written, say because another process does; nothing was served.
        """
        from billing_pipeline.control.api_keys import api_keys
        from billing_pipeline.gateway.gateway import Gateway
        from billing_pipeline.gateway.guard_chores import delivery_chores, show_backlog
        from billing_pipeline.gateway.request_log import RequestLog
        from billing_pipeline.gateway.server import serve

        def stop(error: QueueFailedError) -> None:
            gateway.fail(error)

        webhook = self.webhook
        queue = self.queue(on_failure=stop)
        gateway = Gateway(queue, self.settings.gateway, RequestLog())
        # Left as it is where the queue has failed: nothing may be written then.
        readers_and_queue = ExitStack()
        readers_and_queue.callback(queue.close)
        show_backlog(gateway.metrics, self.control)
        with ExitStack() as stack:
            chores = delivery_chores(self.control, queue, webhook)
            chores += self._open_guard(gateway, stack, readers_and_queue)
            return serve(gateway, lambda: api_keys(self.control), readers_and_queue.close, chores)

    def _open_guard(self, gateway: "Gateway", stack: ExitStack, readers: ExitStack) -> "list[Chore]":
        """Gives the gateway the guard until the stack is left; returns what is to be done beside it.

        What reads the queue is put before the queue in `readers`: it is closed first.

        Where rule books, policies or the registry have faults, people can stop and decide all the same; nothing is
        reserved then, and the log says why.
        """
        from billing_pipeline.gateway.desk import Desk
        from billing_pipeline.gateway.guard_chores import registry_chores, watching_chores
        from billing_pipeline.guardrails.operators import OperatorPrices, OperatorTerms
        from billing_pipeline.guardrails.stored_balance import StoredBalances

        def tell(error: Exception) -> None:
            gateway.metrics.chore_failures.labels("registry").inc()
            gateway.log.problem("registry_not_read", kind=type(error).__name__, message=str(error)[:500])

        def registered(customer_id: str) -> Sequence[str]:
            return customers.days.registry.projects(customer_id)

        try:
            customers = stack.enter_context(self.guard_customers(gateway.queue))
            terms, pricer = self.guard_terms(customers), self.guard_pricer(customers)
        except BillingError as error:
            tell(error)
            ledger = stack.enter_context(self.guard_ledger(OperatorTerms(), OperatorPrices()))
            gateway.desk = Desk(self.control, ledger)
            return []
        ledger = stack.enter_context(self.guard_ledger(terms, pricer))
        gateway.desk = Desk(self.control, ledger, terms, registered)
        gateway.guard, gateway.balances = ledger, StoredBalances(self.control, terms)
        customers.keep_current(tell)
        stack.callback(customers.close)  # before the ledger is
        readers.callback(customers.close)
        watching = watching_chores(
            self.control, gateway.queue, ledger, terms, pricer, metrics=gateway.metrics
        )
        return watching + registry_chores(self.control, ledger, customers)

    @cached_property
    def webhook(self) -> "Webhook | None":
        """Where the guard's notices go; None where none is set.

        Raises:
            SettingsError: its secret cannot be read.
        """
        from billing_pipeline.guardrails.notices.sender import Webhook
        from billing_pipeline.guardrails.notices.signature import secrets_of

        settings = self.settings.webhook
        return None if settings is None else Webhook(url=settings.url, secrets=secrets_of(settings.secret))

    @cached_property
    def guard_policies(self) -> "Policies":
        """What the guard holds the customers of each plan to; nothing is limited where there is no document.

        Raises:
            DocumentError: it has faults.
        """
        from billing_pipeline.guardrails.policies.policy_document import load_policies

        return load_policies(self.settings.guard_path, self.books)

    @cached_property
    def invoicing_policies(self) -> "InvoicingPolicies":
        """How the invoices of each plan leave the house; the defaults where there is no document.

        Raises:
            DocumentError: it has faults.
        """
        from billing_pipeline.invoicing.policies.policy_document import load_policies

        return load_policies(self.settings.invoicing_path, self.books)

    def guard_customers(self, queue: Queue) -> "CurrentCustomers":
        """The customers as the log says now; `keep_current` has them read again beside the work, `close` ends that."""
        from billing_pipeline.guardrails.customers.current_customers import CurrentCustomers
        from billing_pipeline.ingest.registry_log import RegistryReader
        from billing_pipeline.rating.holdings import Rules

        reader = RegistryReader(self.workshop, self.lander(queue))
        return CurrentCustomers(reader.read, Rules(self.books))

    def guard_terms(self, customers: "CurrentCustomers") -> "RegistryBook":
        """What holds for whom, by registry and policies."""
        from billing_pipeline.guardrails.customers.registry_book import RegistryBook

        return RegistryBook(customers, self.guard_policies)

    def guard_pricer(self, customers: "CurrentCustomers") -> "UsagePricer":
        """What usage costs, by registry and rule books."""
        from billing_pipeline.guardrails.pricing.usage_pricer import UsagePricer

        return UsagePricer(customers, customers.rules, self.guard_policies)

    def guard_ledger(self, terms_book: "TermsBook", pricer: "Pricer") -> "LedgerWriter":
        """The guard's ledger in the control database; close it, or use it as a context manager.

        Raises:
            SettingsError: the control database is PostgreSQL, and the driver is not installed.
        """
        from billing_pipeline.guardrails.ledger_writer import LedgerWriter
        from billing_pipeline.guardrails.store.opening import open_store

        _ = self.control  # migrated to head
        return LedgerWriter(open_store(self.settings.control_url), terms_book, pricer)

    @contextmanager
    def guard(self) -> "Iterator[Guard]":
        """The guard within this process, by registry, policies and rule books, over the control database's ledger.

        Raises:
            SettingsError: the control database is PostgreSQL, and the driver is not installed.
            DocumentError: rule books or policies have faults.
            GuardUnavailableError: the ledger cannot be reached.
        """
        from billing_pipeline.control.clock import now_us
        from billing_pipeline.guardrails.customers.grant_sync import GrantSync
        from billing_pipeline.guardrails.guard import Guard
        from billing_pipeline.guardrails.stored_balance import StoredBalances

        with self.queue() as queue, self.guard_customers(queue) as customers:
            terms = self.guard_terms(customers)
            with self.guard_ledger(terms, self.guard_pricer(customers)) as ledger:
                with suppress(GrantsRefusedError):  # `billing serve` tells of it
                    GrantSync(ledger, self.control, now_us).run(customers.days.registry)
                customers.keep_current()
                yield Guard(
                    ledger,
                    StoredBalances(self.control, terms),
                    when_unreachable=lambda customer_id: terms.when_unreachable(customer_id, now_us()),
                )

    def watermark(self) -> int:
        """UTC µs before which nothing is received that is not in the lake."""
        with self.queue() as queue:
            return self.lander(queue).watermark()

    def lander(self, queue: Queue) -> Lander:
        """What brings the queue into the lake.

        By DuckDB: the queue's lines are in this process's memory, and nothing is decided about them. What a cluster is
        for begins behind the raw table.
        """
        return Lander(queue, self.lake, self.duckdb, self.calendar, self.control)

    def check_rules(self) -> dict[str, str]:
        """The rule books that have been used before, hash by version; all are as they were.

        Raises:
            RuleBookChangedError: one of them was used before with other content.
        """
        from billing_pipeline.control.rule_book_uses import recorded

        return recorded(self.control, {book.version: book.content_hash for book in self.books})

    def use_rules(self, watermark: int) -> dict[str, str]:
        """Record that the rule books in force by the watermark are used; returns their hashes by version.

        A version that is not in force yet may still change.

        Raises:
            RuleBookChangedError: one of them was used before with other content.
            RuleBookTooLateError: a new version starts within a day that the watermark has closed, run or not.
        """
        from billing_pipeline.control.partition_records import highest_watermark
        from billing_pipeline.control.rule_book_uses import check_and_record

        used = self.check_rules()
        in_force = [book for book in self.books if microseconds_of(book.effective_from) < watermark]
        new = [book for book in in_force if book.version not in used]
        # A version that had been there by an earlier watermark beyond its start would have been recorded then.
        if new and (seen := highest_watermark(self.control)) is not None:
            last_closed = self.calendar.last_closed(seen)
            for book in new:
                if microseconds_of(book.effective_from) < start_of(last_closed) + DAY_US:
                    raise RuleBookTooLateError(book.version, book.effective_from, last_closed)
        hashes = {book.version: book.content_hash for book in in_force}
        check_and_record(self.control, hashes)
        return hashes

    def record(self, result: StageResult, *, watermark: int, run_id: str) -> None:
        """Keep what a stage wrote: content hashes, snapshots, the watermark and the rules they were made under."""
        from billing_pipeline.control.clock import now_us
        from billing_pipeline.control.partition_records import PartitionRecord, record

        hashes = self.use_rules(watermark)
        moment = now_us()
        record(
            self.control,
            [
                PartitionRecord(
                    table_name=partition.table,
                    partition_key=str(partition.key),
                    content_hash=partition.content_hash,
                    row_count=partition.rows,
                    snapshot_id=str(result.snapshots_written.get(partition.table)),
                    watermark=watermark,
                    closed=watermark >= self.calendar.close(partition.key.day),
                    rule_books=hashes,
                    recorded_at=moment,
                    run_id=run_id,
                )
                for partition in result.partitions
            ],
        )

    def closed_days(self, table_name: str) -> set[date]:
        """The days whose partition of a table was made after the day had closed, so that it can no longer change."""
        from billing_pipeline.control.partition_records import closed_days

        return closed_days(self.control, table_name)


def rule_books_in(folder: Path) -> RuleBooks:
    """The rule books of a folder, parsed once as long as no file of it changes: every asset asks for them."""
    files = sorted(folder.glob("*.yaml"))
    return _parsed(folder, tuple((file.name, sha256(file.read_bytes()).digest()) for file in files))


@lru_cache(maxsize=4)
def _parsed(folder: Path, _contents: tuple[tuple[str, bytes], ...]) -> RuleBooks:
    return load_rule_books(folder)


def calendar_of(books: RuleBooks) -> Calendar:
    """The calendar under the close policies of some rule books."""
    return Calendar(
        [
            CloseTerms(
                effective_from=microseconds_of(book.effective_from),
                grace_minutes=book.close_policy.grace_minutes,
                late_window_days=book.close_policy.late_window_days,
                rejects_late=book.close_policy.late_policy == "reject",
                dedup_window_days=book.close_policy.dedup_window_days,
                blocks_conflicts=book.close_policy.conflict_policy == "block_customer",
            )
            for book in books
        ]
    )

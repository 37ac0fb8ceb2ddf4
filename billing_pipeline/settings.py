"""One place for configuration: the environment, one optional `billing.toml`, and where every store lives."""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from billing_pipeline.errors import SettingsError

PROJECT_ROOT = Path(__file__).resolve().parent.parent
ENGINES = ("duckdb", "spark")
POSTGRES_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")
_WEBHOOK_URL = re.compile(r"https?://[^\s/?#]+\S*", re.ASCII)
_SPARK_MASTER = re.compile(r"local(\[(\*|[1-9]\d*)(,[1-9]\d*)?\])?|yarn|(spark|k8s)://\S+")


@dataclass(frozen=True)
class GatewaySettings:
    """Where `billing serve` listens, and its bounds."""

    host: str = "127.0.0.1"
    port: int = 8080
    buffer_mb: int = 128
    """Bodies and lines of all requests together; beyond it requests are sent away for a second."""
    connections: int = 1000
    body_seconds: int = 30
    """How long a request's body may take to come."""
    drain_seconds: int = 20
    """How long requests may take to end once the gateway was told to stop."""
    clock_seconds: int = 30
    """How often the queue's clock is moved on without events; 0: never."""


@dataclass(frozen=True)
class WebhookSettings:
    """Where the guard's notices go. The secret is as the setting has it: `guardrails.notices.signature` reads it."""

    url: str = field(repr=False)
    """It may hold a token."""
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Settings:
    """Paths and limits of one company's pipeline. A fresh `home` is a fresh company."""

    home: Path
    data: Path
    stripe_api_key: str | None = field(repr=False)
    stripe_api_base: str | None
    memory_limit_mb: int
    threads: int
    engine: str = "duckdb"
    spark_master: str = "local[*]"
    gateway: GatewaySettings = GatewaySettings()
    queue_url: str | None = field(default=None, repr=False)
    """The durable queue's PostgreSQL; without one the queue is a file in the home. It may hold a password."""
    webhook: WebhookSettings | None = None
    """None: notices of the guard are kept, and not sent."""
    stripe_requests_per_second: int | None = None
    stripe_live_account: str | None = None
    """The account that a live key has to belong to; without it no live key is used."""
    """Our own limit per process; None for what suits the key, 0 for none."""
    control_database_url: str | None = field(default=None, repr=False)
    """The control database's PostgreSQL; without one it is a file in the home. It may hold a password."""

    @property
    def queue_path(self) -> Path:
        """The durable queue, where it is a SQLite file."""
        return self.home / "queue" / "queue.sqlite"

    @property
    def lake_path(self) -> Path:
        """The Iceberg lake: catalog, metadata and Parquet files."""
        return self.home / "lake"

    @property
    def control_url(self) -> str:
        """SQLAlchemy URL of the control database."""
        if self.control_database_url is not None:
            return f"postgresql+psycopg://{self.control_database_url.partition('://')[2]}"
        return f"sqlite:///{self.home / 'control.sqlite'}?timeout=60"

    @property
    def simulator_path(self) -> Path:
        """The Stripe simulator's own store."""
        return self.home / "stripe_simulator.sqlite"

    @property
    def dagster_path(self) -> Path:
        """Dagster's storage; disposable, everything in it can be made again."""
        return self.home / "dagster"

    @property
    def scratch_path(self) -> Path:
        """Where compute spills; empty when nothing runs."""
        return self.home / "scratch"

    @property
    def rule_books_path(self) -> Path:
        """The folder of rule books, one YAML file per version."""
        return self.data / "rule_books"

    @property
    def guard_path(self) -> Path:
        """The guard's policies; without the file nothing is limited."""
        return self.data / "guard.yaml"

    @property
    def invoicing_path(self) -> Path:
        """How the invoices of each plan leave the house; without the file all have the defaults."""
        return self.data / "invoicing.yaml"

    @property
    def registry_path(self) -> Path:
        """The registry seed, which precedes offset 0."""
        return self.data / "registry.yaml"


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from the environment, over `billing.toml` (in the working directory), over the defaults.

    Raises:
        SettingsError: a value is unknown or cannot be used; names the setting and what to do.
    """
    env = os.environ if environ is None else environ
    values: dict[str, str] = {}
    file = Path(env.get("BILLING_TOML", "billing.toml"))
    if file.is_file():
        try:
            values |= {key: str(value) for key, value in tomllib.loads(file.read_text("utf-8")).items()}
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{file}: {error}; mend the file or remove it") from error
    unknown = values.keys() - _NAMES.keys()
    if unknown:
        raise SettingsError(f"{file}: unknown setting {min(unknown)!r}; known are {', '.join(_NAMES)}")
    values |= {name: env[variable] for name, variable in _NAMES.items() if env.get(variable)}
    root = PROJECT_ROOT if (PROJECT_ROOT / "data").is_dir() else Path.cwd()
    data = Path(values.get("data", str(root / "data"))).resolve()
    return Settings(
        home=Path(values.get("home", str(data / "home"))).resolve(),
        data=data,
        stripe_api_key=values.get("stripe_api_key"),
        stripe_api_base=values.get("stripe_api_base"),
        memory_limit_mb=_whole_number(values, "memory_limit_mb", default=3000, least=256),
        threads=_whole_number(values, "threads", default=os.cpu_count() or 1, least=1),
        stripe_requests_per_second=_rate(values),
        stripe_live_account=values.get("stripe_live_account"),
        engine=_engine(values),
        spark_master=_spark_master(values),
        gateway=_gateway(values),
        queue_url=_postgres_url(values, "queue_url"),
        control_database_url=_postgres_url(values, "control_url"),
        webhook=_webhook(values),
    )


_NAMES = {
    "home": "BILLING_HOME",
    "data": "BILLING_DATA",
    "stripe_api_key": "STRIPE_API_KEY",
    "stripe_api_base": "STRIPE_API_BASE",
    "stripe_requests_per_second": "STRIPE_REQUESTS_PER_SECOND",
    "stripe_live_account": "STRIPE_LIVE_ACCOUNT",
    "memory_limit_mb": "BILLING_MEMORY_LIMIT_MB",
    "threads": "BILLING_THREADS",
    "engine": "BILLING_ENGINE",
    "spark_master": "SPARK_MASTER",
    "gateway_host": "BILLING_GATEWAY_HOST",
    "gateway_port": "BILLING_GATEWAY_PORT",
    "gateway_buffer_mb": "BILLING_GATEWAY_BUFFER_MB",
    "gateway_connections": "BILLING_GATEWAY_CONNECTIONS",
    "gateway_body_seconds": "BILLING_GATEWAY_BODY_SECONDS",
    "gateway_drain_seconds": "BILLING_GATEWAY_DRAIN_SECONDS",
    "gateway_clock_seconds": "BILLING_GATEWAY_CLOCK_SECONDS",
    "queue_url": "BILLING_QUEUE_URL",
    "control_url": "BILLING_CONTROL_URL",
    "webhook_url": "BILLING_WEBHOOK_URL",
    "webhook_secret": "BILLING_WEBHOOK_SECRET",
}


def _whole_number(values: Mapping[str, str], name: str, *, default: int, least: int) -> int:
    text = values.get(name, str(default))
    if not text.isdecimal() or int(text) < least:
        raise SettingsError(f"{_NAMES[name]}={text!r}: give a whole number of at least {least}")
    return int(text)


def _rate(values: Mapping[str, str]) -> int | None:
    if "stripe_requests_per_second" not in values:
        return None
    return _whole_number(values, "stripe_requests_per_second", default=0, least=0)


def _engine(values: Mapping[str, str]) -> str:
    name = values.get("engine", ENGINES[0])
    if name not in ENGINES:
        raise SettingsError(f"BILLING_ENGINE={name!r}: there is {' and '.join(ENGINES)}")
    return name


def _spark_master(values: Mapping[str, str]) -> str:
    master = values.get("spark_master", "local[*]")
    if not _SPARK_MASTER.fullmatch(master):
        raise SettingsError(
            f"SPARK_MASTER={master!r}: give local[*] (as many threads as BILLING_THREADS says), local[N], "
            "spark://host:port, yarn or k8s://…"
        )
    return master


def _gateway(values: Mapping[str, str]) -> GatewaySettings:
    default = GatewaySettings()
    return GatewaySettings(
        host=values.get("gateway_host", default.host),
        port=_whole_number(values, "gateway_port", default=default.port, least=0),
        buffer_mb=_whole_number(values, "gateway_buffer_mb", default=default.buffer_mb, least=64),
        connections=_whole_number(values, "gateway_connections", default=default.connections, least=1),
        body_seconds=_whole_number(values, "gateway_body_seconds", default=default.body_seconds, least=1),
        drain_seconds=_whole_number(values, "gateway_drain_seconds", default=default.drain_seconds, least=0),
        clock_seconds=_whole_number(values, "gateway_clock_seconds", default=default.clock_seconds, least=0),
    )


def _postgres_url(values: Mapping[str, str], name: str) -> str | None:
    url = values.get(name)
    if url is not None and url.partition("://")[0] not in POSTGRES_SCHEMES:
        # What was given is not repeated: it may hold a password.
        raise SettingsError(
            f"{_NAMES[name]}: give postgresql://user@host:port/database, or nothing for a file in the home"
        )
    return url


def _webhook(values: Mapping[str, str]) -> WebhookSettings | None:
    url, secret = values.get("webhook_url"), values.get("webhook_secret")
    if url is None:
        return None
    if not _WEBHOOK_URL.fullmatch(url):
        # What was given is not repeated: it may hold a token.
        raise SettingsError(
            "BILLING_WEBHOOK_URL: give https://host/path, or http:// where nobody else listens"
        )
    if secret is None:
        raise SettingsError(
            "BILLING_WEBHOOK_URL is set and BILLING_WEBHOOK_SECRET is not: notices are not sent unsigned; make one "
            'with: echo "whsec_$(openssl rand -base64 32)"'
        )
    return WebhookSettings(url, secret)

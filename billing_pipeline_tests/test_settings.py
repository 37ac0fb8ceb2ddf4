"""Settings: the environment over `billing.toml` over the defaults; what is unknown or wrong is refused by name."""

from pathlib import Path

import pytest

from billing_pipeline.errors import SettingsError
from billing_pipeline.settings import POSTGRES_SCHEMES, PROJECT_ROOT, load_settings


def with_file(tmp_path: Path, text: str, **env: str) -> dict[str, str]:
    path = tmp_path / "billing.toml"
    path.write_text(text, "utf-8")
    return {"BILLING_TOML": str(path), **env}


def without_file(tmp_path: Path, **env: str) -> dict[str, str]:
    return {"BILLING_TOML": str(tmp_path / "none.toml"), **env}


def test_without_anything_state_and_data_are_the_projects_own(tmp_path: Path) -> None:
    settings = load_settings(without_file(tmp_path))
    assert settings.data == PROJECT_ROOT / "data"
    assert settings.home == PROJECT_ROOT / "data" / "home"
    assert settings.stripe_api_key is None
    assert settings.threads >= 1


def test_the_file_goes_before_the_defaults(tmp_path: Path) -> None:
    settings = load_settings(with_file(tmp_path, f'home = "{tmp_path}/company"\nthreads = 3\n'))
    assert settings.home == tmp_path / "company"
    assert settings.threads == 3


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    env = with_file(tmp_path, "threads = 3\nmemory_limit_mb = 500\n", BILLING_THREADS="5")
    settings = load_settings(env)
    assert settings.threads == 5
    assert settings.memory_limit_mb == 500


def test_an_empty_variable_counts_as_not_set(tmp_path: Path) -> None:
    assert load_settings(with_file(tmp_path, "threads = 3\n", BILLING_THREADS="")).threads == 3


def test_all_stores_lie_under_the_home(tmp_path: Path) -> None:
    settings = load_settings(without_file(tmp_path, BILLING_HOME=str(tmp_path / "home")))
    stores = (settings.queue_path, settings.lake_path, settings.simulator_path, settings.dagster_path)
    assert all(path.is_relative_to(tmp_path / "home") for path in (*stores, settings.scratch_path))
    assert f"{tmp_path}/home/" in settings.control_url


def test_rules_and_registry_lie_under_the_data(tmp_path: Path) -> None:
    settings = load_settings(without_file(tmp_path, BILLING_DATA=str(tmp_path / "data")))
    assert settings.rule_books_path == tmp_path / "data" / "rule_books"
    assert settings.registry_path == tmp_path / "data" / "registry.yaml"
    assert settings.home == tmp_path / "data" / "home"


def test_an_unknown_setting_is_refused_and_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="unknown setting 'thread'; known are home, data"):
        load_settings(with_file(tmp_path, "thread = 3\n"))


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "\u00b2"])
def test_a_bad_number_is_refused_with_its_name_and_value(tmp_path: Path, value: str) -> None:
    with pytest.raises(SettingsError, match=f"BILLING_THREADS='{value}': give a whole number of at least 1"):
        load_settings(without_file(tmp_path, BILLING_THREADS=value))


def test_too_little_memory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="BILLING_MEMORY_LIMIT_MB='255'"):
        load_settings(without_file(tmp_path, BILLING_MEMORY_LIMIT_MB="255"))


def test_duckdb_computes_unless_another_engine_is_chosen(tmp_path: Path) -> None:
    assert load_settings(without_file(tmp_path)).engine == "duckdb"
    assert load_settings(without_file(tmp_path, BILLING_ENGINE="spark")).engine == "spark"
    assert load_settings(with_file(tmp_path, 'engine = "spark"\n')).engine == "spark"


def test_the_queue_is_a_file_unless_a_postgresql_is_named(tmp_path: Path) -> None:
    url = "postgresql://billing@db.internal/usage"
    assert load_settings(without_file(tmp_path)).queue_url is None
    assert load_settings(without_file(tmp_path, BILLING_QUEUE_URL=url)).queue_url == url
    assert load_settings(with_file(tmp_path, f'queue_url = "{url}"\n')).queue_url == url


def test_another_kind_of_queue_is_refused_without_repeating_its_password(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="BILLING_QUEUE_URL: give postgresql://") as error:
        load_settings(without_file(tmp_path, BILLING_QUEUE_URL="kafka://billing:s3cret@broker"))
    assert "s3cret" not in str(error.value)
    settings = load_settings(without_file(tmp_path, BILLING_QUEUE_URL="postgresql://billing:s3cret@db/usage"))
    assert "s3cret" not in repr(settings)


def test_the_control_database_is_a_file_unless_a_postgresql_is_named(tmp_path: Path) -> None:
    """However its scheme is written, SQLAlchemy is to use the driver that is installed."""
    for scheme in POSTGRES_SCHEMES:
        url = f"{scheme}://billing:s3cret@db.internal/control?options=-csearch_path%3Dguard"
        settings = load_settings(without_file(tmp_path, BILLING_CONTROL_URL=url))
        assert settings.control_url == f"postgresql+psycopg://{url.partition('://')[2]}"
        assert "s3cret" not in repr(settings)
    with pytest.raises(SettingsError, match="BILLING_CONTROL_URL: give postgresql://") as error:
        load_settings(without_file(tmp_path, BILLING_CONTROL_URL="mysql://billing:s3cret@db/control"))
    assert "s3cret" not in str(error.value)


def test_an_unknown_engine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="BILLING_ENGINE='sparc': there is duckdb and spark"):
        load_settings(without_file(tmp_path, BILLING_ENGINE="sparc"))


@pytest.mark.parametrize(
    "master", ["local", "local[*]", "local[4]", "local[*,3]", "spark://head:7077", "yarn"]
)
def test_sparks_master_may_be_local_or_a_clusters(tmp_path: Path, master: str) -> None:
    assert load_settings(without_file(tmp_path, SPARK_MASTER=master)).spark_master == master


@pytest.mark.parametrize("master", ["local[0]", "local[]", "head:7077", "spark:// head", "local[*] --conf x"])
def test_a_bad_master_is_refused_with_what_can_be_given(tmp_path: Path, master: str) -> None:
    with pytest.raises(SettingsError, match=r"SPARK_MASTER='.*': give local\[\*\]"):
        load_settings(without_file(tmp_path, SPARK_MASTER=master))


@pytest.mark.parametrize("text", [b"threads = \n", b"home = '\xff'\n"])
def test_a_file_that_is_no_toml_is_refused_by_its_name(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "billing.toml"
    path.write_bytes(text)
    with pytest.raises(SettingsError, match=r"billing\.toml: .*; mend the file or remove it"):
        load_settings({"BILLING_TOML": str(path)})


def test_the_gateways_settings_are_read(tmp_path: Path) -> None:
    settings = load_settings(with_file(tmp_path, "gateway_port = 9000\n", BILLING_GATEWAY_HOST="0.0.0.0"))  # noqa: S104 - only read
    assert (settings.gateway.host, settings.gateway.port) == ("0.0.0.0", 9000)  # noqa: S104
    assert settings.gateway.buffer_mb == 128


@pytest.mark.parametrize(
    "variable", ["PORT", "BUFFER_MB", "CONNECTIONS", "BODY_SECONDS", "DRAIN_SECONDS", "CLOCK_SECONDS"]
)
def test_a_wrong_bound_of_the_gateway_is_refused_by_name(tmp_path: Path, variable: str) -> None:
    name = f"BILLING_GATEWAY_{variable}"
    with pytest.raises(SettingsError, match=name):
        load_settings(without_file(tmp_path) | {name: "-1"})


def test_a_webhook_needs_a_url_and_a_secret_and_neither_is_ever_repeated(tmp_path: Path) -> None:
    """Both may hold what nobody else is to know."""
    url, secret = "https://hooks.example.com/guard?token=s3cret", "whsec_c2VjcmV0"
    assert load_settings(without_file(tmp_path)).webhook is None
    settings = load_settings(without_file(tmp_path, BILLING_WEBHOOK_URL=url, BILLING_WEBHOOK_SECRET=secret))
    assert settings.webhook is not None
    assert (settings.webhook.url, settings.webhook.secret) == (url, secret)
    assert "s3cret" not in repr(settings)
    assert secret not in repr(settings)
    with pytest.raises(SettingsError, match="BILLING_WEBHOOK_SECRET is not"):
        load_settings(without_file(tmp_path, BILLING_WEBHOOK_URL=url))
    for odd in ("hooks.example.com/s3cret", "ftp://s3cret", "https://", "https:///s3cret x"):
        with pytest.raises(SettingsError, match="BILLING_WEBHOOK_URL: give") as error:
            load_settings(without_file(tmp_path, BILLING_WEBHOOK_URL=odd, BILLING_WEBHOOK_SECRET=secret))
        assert "s3cret" not in str(error.value)

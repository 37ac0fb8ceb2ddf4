import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command as alembic_command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

import billing_pipeline.control
import billing_pipeline.control.guard_tables
import billing_pipeline.control.invoice_tables
from billing_pipeline.control.database import HEAD_REVISION, open_control, writing
from billing_pipeline.control.tables import METADATA
from billing_pipeline.errors import ControlDatabaseError

MIGRATIONS = Path(billing_pipeline.control.__file__).parent / "migrations"


def test_head_revision_is_the_newest_migration() -> None:
    """The constant that saves importing Alembic names the last migration there is."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD_REVISION


def test_migrations_make_the_tables_of_the_code(control_url: str) -> None:
    """A migrated database has exactly the tables, columns and indexes that `tables.py` declares."""
    engine = open_control(control_url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    engine.dispose()


def test_an_opened_database_keeps_its_rows_when_opened_again(control_url: str) -> None:
    """Opening at head changes nothing."""
    engine = open_control(control_url)
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO rule_book_uses VALUES ('v1', 'h', 1)"))
    engine.dispose()
    again = open_control(control_url)
    with again.connect() as connection:
        assert connection.execute(text("SELECT version FROM rule_book_uses")).scalars().all() == ["v1"]
    again.dispose()


def test_a_database_of_an_earlier_release_is_migrated_and_keeps_its_rows(
    control_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first revision on, whenever it was made."""
    upgrade = alembic_command.upgrade
    with monkeypatch.context() as patch:
        patch.setattr(alembic_command, "upgrade", lambda config, _revision: upgrade(config, "0001"))
        earlier = open_control(control_url)
    with writing(earlier) as connection:
        connection.execute(text("INSERT INTO rule_book_uses VALUES ('v1', 'h', 1)"))
    earlier.dispose()
    engine = open_control(control_url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT version FROM rule_book_uses")).scalars().all() == ["v1"]
        assert connection.execute(text("SELECT count(*) FROM landings")).scalar() == 0
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    engine.dispose()


def test_opening_at_head_does_not_import_alembic(tmp_path: Path) -> None:
    """A process that finds the database at head never pays for Alembic."""
    url = f"sqlite:///{tmp_path / 'control.sqlite'}"
    open_control(url).dispose()
    code = (
        "import sys; from billing_pipeline.control.database import open_control; "
        f"open_control({url!r}); sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_several_processes_may_open_a_fresh_database_at_once(control_url: str) -> None:
    """One of them migrates, the others wait; all of them find the tables."""
    code = (
        "from billing_pipeline.control.database import open_control; "
        "from billing_pipeline.control.partition_records import latest; "
        f"print(latest(open_control({control_url!r}), 'usage_rollups'))"
    )

    def start(_: int) -> str:
        return subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        ).stdout.strip()

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(start, range(3))) == ["{}"] * 3


def test_a_database_of_a_newer_release_is_refused(control_url: str) -> None:
    """A revision unknown to this release is an error that says what to do, and nothing is changed."""
    engine = open_control(control_url)
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(ControlDatabaseError, match="newer release"):
        open_control(control_url)


@pytest.mark.parametrize(
    "statement", ["UPDATE rule_book_uses SET content_hash = 'x'", "DELETE FROM rule_book_uses"]
)
def test_facts_cannot_be_changed(control_url: str, statement: str) -> None:
    """Whoever tries to update or delete a fact gets an error, and the fact stays."""
    engine = open_control(control_url)
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO rule_book_uses VALUES ('v1', 'h', 1)"))
    with pytest.raises(DatabaseError, match="append-only"), writing(engine) as connection:
        connection.execute(text(statement))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT content_hash FROM rule_book_uses")).scalar() == "h"
    engine.dispose()


def test_sqlite_is_durable_and_in_rollback_journal_mode(tmp_path: Path) -> None:
    """SQLite is opened with synchronous=FULL and the rollback journal."""
    engine = open_control(f"sqlite:///{tmp_path / 'control.sqlite'}?timeout=60")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "truncate"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    engine.dispose()


def test_a_failed_transaction_leaves_nothing(control_url: str) -> None:
    """What was written before an error in the same transaction is gone."""
    engine = open_control(control_url)

    def write_and_fail() -> None:
        with writing(engine) as connection:
            connection.execute(text("INSERT INTO rule_book_uses VALUES ('v1', 'h', 1)"))
            raise KeyError

    with pytest.raises(KeyError):
        write_and_fail()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM rule_book_uses")).scalar() == 0
    engine.dispose()


def test_another_database_error_is_not_taken_for_a_fresh_database(tmp_path: Path) -> None:
    """A file that is no database is reported, not migrated over."""
    path = tmp_path / "control.sqlite"
    path.write_bytes(b"this is no database, but long enough to be taken for one" * 40)
    with pytest.raises(DatabaseError):
        open_control(f"sqlite:///{path}")
    assert path.read_bytes().startswith(b"this is no database")

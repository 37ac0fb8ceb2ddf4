"""What is Spark's own: how it is started and what is missing for that; quiet, on the loopback, leaving nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from billing_pipeline.errors import SettingsError
from billing_pipeline.lake import spark_process
from billing_pipeline.lake.engine import Engine
from billing_pipeline.lake.spark_engine import SparkEngine
from billing_pipeline.lake.spark_process import SparkProcess, check_installed

SESSION = """
import os, sys
from pathlib import Path
from billing_pipeline.lake.spark_engine import SparkEngine

def inodes(process):
    found = set()
    for link in Path(f"/proc/{process}/fd").glob("*"):
        try:
            found.add(os.readlink(link))
        except OSError:
            pass
    return found

engine = SparkEngine("local[*]", 600, 1, Path(sys.argv[1]))
with engine.session() as session:
    assert session.rows("SELECT 1") == [(1,)]
    from pyspark import SparkContext
    java = SparkContext._gateway.proc.pid
    owned = inodes(java)
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{java}/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and f"socket:[{words[9]}]" in owned:
                print(words[1].split(":")[0])
"""


def process(master: str = "local[*]", threads: int = 3) -> SparkProcess:
    return SparkProcess(master, 256, threads, Path("/nowhere"))


@pytest.mark.parametrize("package", ["pyspark", "sqlglot"])
def test_a_missing_package_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setattr(spark_process, "find_spec", lambda name: None if name == package else object())
    with pytest.raises(
        SettingsError, match=rf"{package} is not installed; .*--extra spark.*BILLING_ENGINE=duckdb"
    ):
        check_installed()


@pytest.mark.parametrize(("java", "told"), [(None, "there is no java"), ("11.0.2", "Java 11.0.2 is too old")])
def test_a_missing_or_old_java_is_told_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, java: str | None, told: str
) -> None:
    monkeypatch.setattr(spark_process, "find_spec", lambda _: object())
    monkeypatch.setattr(spark_process, "_java_version", lambda: java)
    with pytest.raises(SettingsError, match=rf"{told}.*openjdk-17-jre-headless"):
        check_installed()


@pytest.mark.parametrize(
    ("master", "started"),
    [("local[*]", "local[3]"), ("local[2]", "local[2]"), ("local[*,4]", "local[3,4]"), ("local", "local")],
)
def test_a_local_master_takes_the_threads_of_the_settings_and_stays_on_the_loopback(
    tmp_path: Path, master: str, started: str
) -> None:
    settings = process(master).settings(tmp_path)
    assert settings["spark.master"] == started
    assert settings["spark.driver.bindAddress"] == settings["spark.driver.host"] == "127.0.0.1"
    assert settings["spark.driver.memory"] == "512m"


def test_a_cluster_decides_itself_how_it_is_reached_and_how_wide_it_shuffles(tmp_path: Path) -> None:
    settings = process("spark://head:7077").settings(tmp_path)
    assert settings["spark.master"] == "spark://head:7077"
    assert not settings.keys() & {
        "spark.driver.bindAddress",
        "spark.driver.host",
        "spark.sql.shuffle.partitions",
    }


def test_everything_spark_keeps_lies_in_its_folder(tmp_path: Path) -> None:
    settings = process().settings(tmp_path)
    assert settings["spark.local.dir"] == str(tmp_path)
    assert settings["spark.sql.warehouse.dir"].startswith(tmp_path.as_uri())


def test_types_are_those_of_the_tables(spark_engine: Engine) -> None:
    from billing_pipeline.schemas.tables import RATED_CHARGES

    with spark_engine.session() as session:
        session.scan("empty", RATED_CHARGES, [])
        types = {str(row[0]): str(row[1]) for row in session.rows("DESCRIBE empty")}
    assert types["quantity"] == "decimal(38,9)"
    assert types["amount"] == "decimal(38,24)"
    assert types["period_end_day"] == "date"
    assert types["amount_minor"] == "bigint"


def test_sessions_share_one_java_machine(spark_engine: Engine) -> None:
    assert isinstance(spark_engine, SparkEngine)
    with spark_engine.session() as one, spark_engine.session() as two:
        assert one._spark.sparkContext is two._spark.sparkContext
        assert one._spark is not two._spark


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="sockets are looked up in Linux's /proc")
def test_a_process_with_spark_is_quiet_listens_on_the_loopback_alone_and_leaves_nothing(
    spark_engine: Engine, tmp_path: Path
) -> None:
    """Neither words on its outputs nor files in the scratch or where it was started."""
    assert spark_engine.version
    scratch, here = tmp_path / "scratch", tmp_path / "here"
    here.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", SESSION, str(scratch)],
        capture_output=True,
        text=True,
        check=False,
        cwd=here,
        timeout=240,
    )
    assert (done.returncode, done.stderr) == (0, "")
    addresses = done.stdout.split()
    assert addresses
    assert all(address.endswith("0100007F") for address in addresses), addresses
    assert list(scratch.iterdir()) == []
    assert list(here.iterdir()) == []

"""The Spark of this process: one Java machine and one context, started when first needed, ended with the process.

Everything Spark keeps lies in one folder of the scratch: what it spills, its warehouse, and what the Java machine says
(`spark.log`). Nothing listens beyond the loopback interface while the master is local.
"""

import atexit
import logging
import os
import re
import shutil
import subprocess
import tempfile
import threading
import warnings
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from billing_pipeline.errors import SettingsError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

JAVA_LEAST = 17
MEMORY_LEAST_MB = 512
"""The Java machine of Spark does not start with less."""
LOCAL_SHUFFLE_PARTITIONS_PER_THREAD = 2
_LOCK = threading.Lock()

# Decimals keep their scale, or overflow as an error; nothing is rounded to make room for whole digits.
EXACT = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.writeLegacyFormat": "false",
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.catalogImplementation": "in-memory",
    "spark.hadoop.parquet.compression.codec.zstd.level": "1",
}
QUIET = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.python.sql.dataFrameDebugging.enabled": "false",
}
_LOG4J = """\
rootLogger.level = warn
rootLogger.appenderRef.stderr.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss} %p %c{1}: %m%n%ex
"""


@dataclass(frozen=True)
class SparkProcess:
    """What the Java machine is started with: the master, its memory, threads where it is local."""

    master: str
    memory_limit_mb: int
    threads: int
    scratch: Path

    def settings(self, folder: Path) -> dict[str, str]:
        """The settings of the context, with everything it keeps in a folder."""
        (folder / "log4j2.properties").write_text(_LOG4J, "utf-8")
        settings = {
            "spark.app.name": "billing_pipeline",
            "spark.master": self.master.replace("local[*", f"local[{self.threads}"),
            "spark.driver.memory": f"{max(self.memory_limit_mb, MEMORY_LEAST_MB)}m",
            "spark.driver.extraJavaOptions": "-Duser.timezone=UTC "
            f"-Dlog4j2.configurationFile={(folder / 'log4j2.properties').as_uri()}",
            "spark.local.dir": str(folder),
            "spark.sql.warehouse.dir": (folder / "warehouse").as_uri(),
            **EXACT,
            **QUIET,
        }
        if self.master.startswith("local"):
            partitions = self.threads * LOCAL_SHUFFLE_PARTITIONS_PER_THREAD
            settings |= {
                "spark.driver.bindAddress": "127.0.0.1",
                "spark.driver.host": "127.0.0.1",
                "spark.sql.shuffle.partitions": str(partitions),
            }
        return settings


_started: "tuple[SparkSession, Path] | None" = None


def spark_of_this_process(process: SparkProcess) -> "SparkSession":
    """The session that all of ours are derived from; the first who asks decides how it is started.

    Raises:
        SettingsError: pyspark, sqlglot or Java is not there.
    """
    global _started  # noqa: PLW0603 - a process has one Java machine, as pyspark has it
    with _LOCK:
        if _started is None:
            check_installed()
            _started = _start(process)
            atexit.register(_stop)
        spark, folder = _started
        os.utime(folder)  # a folder in use is no leftover, however long the process lives
        return spark


def check_installed() -> str:
    """The Java there is, by its version; raises where Spark cannot be started.

    Raises:
        SettingsError: pyspark, sqlglot or Java is not there; says how to install it.
    """
    for package in ("pyspark", "sqlglot"):
        if find_spec(package) is None:
            raise SettingsError(
                f"BILLING_ENGINE=spark: {package} is not installed; install the extra "
                "(`uv sync --locked --inexact --extra spark`), or take BILLING_ENGINE=duckdb"
            )
    java = _java_version()
    if java is None or int(java.partition(".")[0]) < JAVA_LEAST:
        found = "there is no java on the PATH or in JAVA_HOME" if java is None else f"Java {java} is too old"
        raise SettingsError(
            f"BILLING_ENGINE=spark: {found}; install Java {JAVA_LEAST} or newer (Debian: "
            "`apt-get install openjdk-17-jre-headless`), or take BILLING_ENGINE=duckdb"
        )
    return java


@cache
def _java_version() -> str | None:
    home = os.environ.get("JAVA_HOME")
    java = shutil.which(str(Path(home) / "bin" / "java") if home else "java")
    if java is None:
        return None
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)  # noqa: S603 - as found
    found = re.search(r'version "(\d+(?:\.\d+)*)', told.stderr)
    return found[1] if found else None


def _start(process: SparkProcess) -> "tuple[SparkSession, Path]":
    from py4j.protocol import Py4JError
    from pyspark import SparkConf, SparkContext
    from pyspark.errors import PySparkException
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession

    # Errors are raised, and told there; that they are also logged as JSON is of no use to anybody.
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)
    process.scratch.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"spark-{os.getpid()}-", dir=process.scratch))
    conf = SparkConf(loadDefaults=False).setAll(list(process.settings(folder).items()))
    log = folder / "spark.log"
    with log.open("w") as file, warnings.catch_warnings():
        # It speaks of pandas, which no row of ours goes through.
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
        try:
            gateway = launch_gateway(conf=conf, popen_kwargs={"stdout": file, "stderr": file})
            return SparkSession(SparkContext(gateway=gateway, conf=conf)), folder
        except (PySparkException, Py4JError) as error:
            raise SettingsError(
                f"Spark does not start with SPARK_MASTER={process.master} and "
                f"BILLING_MEMORY_LIMIT_MB={process.memory_limit_mb} ({type(error).__name__}); it says why in {log}"
            ) from error


def _stop() -> None:
    global _started  # noqa: PLW0603 - see above
    if _started is not None:
        spark, folder = _started
        _started = None
        spark.stop()
        shutil.rmtree(folder, ignore_errors=True)

"""A PostgreSQL of a test's own, on a disk of its own, that can be stopped as if its machine had failed."""

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

START_SECONDS = 30
SETTINGS = """
fsync = on
synchronous_commit = on
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_buffers = 16MB
max_connections = 30
max_wal_size = 128MB
wal_level = minimal
max_wal_senders = 0
autovacuum = off
logging_collector = off
"""


class PrivateCluster:
    """One server. As root it runs as the user `postgres`, because the server insists on that.

    Its folder is none of pytest's, which no other user may enter; `remove` removes it.
    """

    def __init__(self) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
        initdb = str(found[-1]) if found else shutil.which("initdb")
        if initdb is None:
            pytest.skip("no PostgreSQL server binaries (initdb) here")
        self._bin = Path(initdb).parent
        self._as_user: list[str] = []
        if os.geteuid() == 0:
            if shutil.which("runuser") is None or self._fails("runuser", "-u", "postgres", "--", "true"):
                pytest.skip("no user postgres to run a PostgreSQL server as")
            self._as_user = ["runuser", "-u", "postgres", "--"]
        self._data = Path(tempfile.mkdtemp(prefix="cluster-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
        if self._as_user:
            shutil.chown(self._data, "postgres")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self._run(
            "initdb", "-D", str(self._data), "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8"
        )
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(f"{SETTINGS}port = {self.port}\n")

    def configure(self, setting: str) -> None:
        """Add a line to the settings, over those before it, and start anew with it."""
        self.stop("fast")
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(f"{setting}\n")
        self.start()

    def start(self) -> None:
        log = str(self._data / "log")
        self._run("pg_ctl", "-D", str(self._data), "-w", "-t", str(START_SECONDS), "-l", log, "start")

    def stop(self, mode: str = "immediate") -> None:
        """`immediate` ends every process at once, without writing anything more: recovery begins with the WAL."""
        if (self._data / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", str(self._data), "-w", "-t", str(START_SECONDS), "-m", mode, "stop")

    def remove(self) -> None:
        """Stop it and leave nothing behind."""
        self.stop()
        shutil.rmtree(self._data)

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as_user, str(self._bin / program), *arguments]
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            command,
            cwd="/",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=2 * START_SECONDS,
        )
        assert done.returncode == 0, f"{program}: {done.stderr}"

    @staticmethod
    def _fails(*command: str) -> bool:
        return subprocess.run(command, check=False, capture_output=True).returncode != 0

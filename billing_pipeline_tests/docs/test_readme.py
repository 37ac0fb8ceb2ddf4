"""Every command of the README's console blocks runs, section by section, in a folder of its own.

A console block holds commands only: a line that begins with `$ ` starts one, other lines continue it. Commands that
would run these tests again, or never end, are run in a bounded form that says what it stands for.
"""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pytest
from click.testing import CliRunner

from billing_pipeline.cli import billing

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = Path(sys.executable).parent
TRACES = Path(os.environ.get("BILLING_TRACES", ROOT.parent / "shared" / "traces"))
DAGSTER_IN_MEMORY = ROOT / "billing_pipeline_tests" / "dagster_in_memory"
TRACE_ROWS = 500
"""So many rows of each trace are enough to run the commands; that whole files import right is tested elsewhere."""
COMMAND_SECONDS = 240
START_SECONDS = 120

# What a target must call; `make -n` prints it without running it.
CALLED = {
    "demo": "billing demo",
    "test": 'pytest -m "not torture"',
    "dev": "dg dev -w workspace.yaml",
    "check": "dg check defs",
    "bench": "benchmarks/raw_to_rollups.py",
    "help": "grep",
}


def sections() -> dict[str, list[str]]:
    """The commands of the console blocks by the heading they stand under."""
    found: dict[str, list[str]] = {}
    for section in re.split(r"^#+ ", README, flags=re.MULTILINE)[1:]:
        heading, _, text = section.partition("\n")
        for block in re.findall(r"^```console\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
            assert block.startswith("$ "), f"a console block of {heading!r} does not begin with a command"
            commands = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
            found.setdefault(heading, []).extend(command.strip() for command in commands)
    return found


class Terminal:
    """Runs commands one after the other: a folder, and an environment that `export` changes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("BILLING_", "DAGSTER_", "STRIPE_"))
        }
        self.environment = kept | {"PATH": f"{COMMANDS}{os.pathsep}{kept['PATH']}", "COLUMNS": "140"}

    def run(self, command: str) -> str:
        """The output of a command that must succeed."""
        if command.startswith("export "):
            name, _, value = command.removeprefix("export ").partition("=")
            self.environment[name] = value
            return ""
        if command.startswith("make "):
            return self._make(command.removeprefix("make "))
        if command.startswith("billing "):
            return self._billing(shlex.split(command)[1:])
        return self._run(["bash", "-ec", command], self.folder)

    def _billing(self, arguments: list[str]) -> str:
        """In this process, which has imported everything once."""
        unset = dict.fromkeys(("BILLING_DAGSTER", "DAGSTER_HOME"))
        done = CliRunner(env=unset | self.environment).invoke(billing, arguments, catch_exceptions=False)
        assert done.exit_code == 0, f"billing {arguments}:\n{done.output}"
        return done.output

    def _make(self, target: str) -> str:
        """The target calls what it should; what a test can run is run, `billing demo` with the demo's own tests."""
        assert CALLED[target] in self._run(["make", "-n", target], ROOT)
        if target == "dev":
            return self._answer_of_dagster()
        return ""

    def _run(self, command: list[str], folder: Path) -> str:
        done = subprocess.run(
            command,
            cwd=folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{command} in {folder}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def _answer_of_dagster(self) -> str:
        """Start the UI over an empty home, wait for its answer, and stop it and its children."""
        dagster = self.folder / "empty" / "dagster"
        dagster.mkdir(parents=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        told = self.folder / "dagster.log"
        with told.open("w") as log:
            process = subprocess.Popen(
                [COMMANDS / "dg", "dev", "-w", "workspace.yaml", "--port", str(port)],
                cwd=ROOT,
                env=self.environment
                | {
                    "BILLING_HOME": str(dagster.parent),
                    "BILLING_DAGSTER": str(dagster),
                    "DAGSTER_HOME": str(ROOT),
                },
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            return _answer(f"http://127.0.0.1:{port}/server_info", process, told)
        finally:
            _stop(process)


def _answer(url: str, process: "subprocess.Popen[bytes]", told: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - a fixed address on loopback
                text: str = response.read().decode()
                return text
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"no answer from {url}:\n{told.read_text('utf-8')}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End the session that was started for it: the UI, the daemon and the code server are its children."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            continue
    process.wait(timeout=15)


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    monkeypatch.chdir(tmp_path)
    return Terminal(tmp_path)


def _cut_traces(folder: Path) -> None:
    folder.mkdir()
    for name in ("AzureLLMInferenceTrace_code.csv", "kvct_agent_requests.csv"):
        if not (TRACES / name).is_file():
            pytest.skip(f"the public traces are not at {TRACES}; set BILLING_TRACES to their folder")
        with (TRACES / name).open() as whole, (folder / name).open("w") as cut:
            cut.writelines(islice(whole, TRACE_ROWS + 1))


def test_daily_use_goes_from_an_event_to_its_invoice(terminal: Terminal) -> None:
    """Import, advance, close, show, query and doctor, one after the other."""
    shutil.copytree(ROOT / "data" / "rule_books", terminal.folder / "data" / "rule_books")
    output = "".join(terminal.run(command) for command in sections()["Daily use"])
    assert "14.81 USD" in output, "1,234,567 output tokens of atlas-large at 12.00 per 1,000,000"


@contextmanager
def served(terminal: Terminal, heading: str) -> Iterator[Callable[[], str]]:
    """Creates the key and starts the gateway of a section; gives what runs its lines of Python."""
    create, serve, *_ = sections()[heading]
    key = re.search(r"bk_\S+", terminal.run(create))
    assert key is not None
    section = README.split(f"## {heading}\n")[1].split("\n## ")[0]
    (lines,) = re.findall(r"^```python\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = terminal.folder / "gateway.log"
    with told.open("w") as log:
        process = subprocess.Popen(
            [COMMANDS / "billing", *shlex.split(serve)[1:]],
            cwd=terminal.folder,
            env=terminal.environment | {"BILLING_GATEWAY_PORT": str(port)},
            stderr=log,
            start_new_session=True,
        )
    try:
        assert "true" in _answer(f"http://127.0.0.1:{port}/readyz", process, told)
        script = lines.replace("127.0.0.1:8080", f"127.0.0.1:{port}").replace("bk_…", key[0])
        (terminal.folder / "lines.py").write_text(script, "utf-8")
        yield lambda: terminal.run(f"{sys.executable} lines.py 2>&1")
    finally:
        _stop(process)


def test_usage_is_sent_to_the_gateway_by_the_client(terminal: Terminal) -> None:
    """The key, the gateway and the lines of Python, as they stand there."""
    terminal.environment["BILLING_HOME"] = str(terminal.folder / "home")
    with served(terminal, "Sending usage") as run:
        run()
    assert '"next_offset": 1' in terminal.run("billing queue status --json")


def test_runaway_cost_is_stopped_by_the_guard(terminal: Terminal) -> None:
    """With the customer of the daily use: held, settled, shown, and then killed."""
    shutil.copytree(ROOT / "data" / "rule_books", terminal.folder / "data" / "rule_books")
    for command in sections()["Daily use"]:
        if command.startswith(("export", "echo '{\"type", "billing import")):
            terminal.run(command)
    *_, status, kill = sections()["Stopping runaway cost"]
    with served(terminal, "Stopping runaway cost") as run:
        run()
        assert "0.014808 USD" in terminal.run(status), (
            "1,234 output tokens of atlas-large at 12.00 per 1,000,000"
        )
        terminal.run(kill)
        with pytest.raises(AssertionError, match=r"GuardDeniedError: denied by killed of session:acme/run-7"):
            run()


def test_real_sources_are_imported_and_invoiced(terminal: Terminal) -> None:
    """Both trace formats, into one home, up to invoices."""
    _cut_traces(terminal.folder / "traces")
    terminal.environment["DAGSTER_HOME"] = str(DAGSTER_IN_MEMORY)
    output = "".join(terminal.run(command) for command in sections()["Real sources"])
    assert "customer-001" in output
    assert "held back" not in output


@pytest.mark.skipif(sys.platform == "win32", reason="make and sessions of processes are POSIX's")
def test_the_dagster_ui_answers(terminal: Terminal) -> None:
    """`make dev` starts, answers, and leaves no process behind."""
    assert "dagster_webserver_version" in "".join(map(terminal.run, sections()["The Dagster UI"]))


@pytest.mark.parametrize("heading", ["billing_pipeline", "What is where", "Benchmarks"])
def test_targets_call_what_the_readme_says(terminal: Terminal, heading: str) -> None:
    """The targets exist and call what they should."""
    for command in sections()[heading]:
        terminal.run(command)


def test_no_console_block_is_left_out() -> None:
    """A new section with commands needs a test here."""
    assert set(sections()) == {
        "billing_pipeline",
        "Daily use",
        "Sending usage",
        "Stopping runaway cost",
        "Real sources",
        "The Dagster UI",
        "What is where",
        "Benchmarks",
    }


def test_a_newcomer_has_succeeded_by_line_40() -> None:
    """Both commands, what is then seen, and the commands for Windows stand in the first 40 lines."""
    head = "\n".join(README.splitlines()[:40])
    for wanted in ("$ make demo", "$ make test", "raw_usage_events", "uv sync --locked", "uv run dg dev"):
        assert wanted in head
    assert shutil.which("make") is not None

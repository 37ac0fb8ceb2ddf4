"""Each step of a push × each fault × kill -9: Stripe always ends with exactly one right, final invoice."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from billing_pipeline.control.database import open_control
from billing_pipeline.settings import PROJECT_ROOT
from billing_pipeline_tests.control_databases import new_control_url
from billing_pipeline_tests.scenarios.killed_push import Case
from billing_pipeline_tests.scenarios.stripe_under_fire import FAULTS, READS, STORED, WRITES

LANES = 4
KILLS = ("no", "before", "after", "answered")
Found = dict[str, Any]


@dataclass(frozen=True)
class Matrix:
    """Runs cases, in lanes that share the processors, each with a control database or a part of one."""

    folder: Path
    control_urls: Sequence[str]

    def run(self, cases: Iterable[Case], defence: str = "") -> list[Found]:
        """What was found about each case; `defence` is what is taken away."""
        orders = self.folder / "orders.json"
        content = {
            "cases": [asdict(case) for case in cases],
            "control_urls": self.control_urls,
            "folder": str(self.folder),
            "defence": defence,
        }
        orders.write_text(json.dumps(content))
        command = [sys.executable, "-m", "billing_pipeline_tests.scenarios.killed_push", str(orders)]
        done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        lines = [path.read_text().splitlines() for path in sorted(self.folder.glob("found-*.jsonl"))]
        return [json.loads(line) for each in lines for line in each]


@pytest.fixture
def matrix(tmp_path: Path, migrated_sqlite: Path) -> Matrix:
    """Over SQLite, a file for each lane."""
    urls = []
    for number in range(LANES):
        path = tmp_path / f"control-{number}.sqlite"
        shutil.copyfile(migrated_sqlite, path)
        urls.append(f"sqlite:///{path}?timeout=60")
    return Matrix(tmp_path, urls)


@contextmanager
def postgres(folder: Path) -> Iterator[Matrix]:
    """Over PostgreSQL, one database for all lanes."""
    with new_control_url("postgresql", folder) as url:
        open_control(url).dispose()
        yield Matrix(folder, [url] * LANES)


def all_cases(**more: Any) -> list[Case]:
    """Every step, fault and kill that can be; a fault that makes no good answer cannot be killed at one."""
    cases: list[Case] = []
    for step in WRITES + READS:
        for fault in FAULTS:
            if step in READS and fault in STORED:
                continue  # reads have no keys under which an answer is kept
            for kill in KILLS:
                if kill == "answered" and fault in {"applied_error_stored", "slow"}:
                    continue  # found by looking, so never answered well; or the first answer is the good one
                cases.append(Case(f"case-{len(cases)}", step, fault, kill, **more))
    return cases


def wrong(case: Case, found: Found) -> list[str]:
    """What of a case is not as it must be."""
    faults = list(found["faults"])
    if found["ended"] != "finalized":
        faults.append(f"ended after {found['runs']} runs: {found['ended']}")
    if found["hits"] != 1:
        faults.append(f"{found['hits']} requests met the fault")
    if found["kills"] != (case.kill != "no"):
        faults.append(f"{found['kills']} kills")
    return faults


def all_wrong(cases: Sequence[Case], found: Sequence[Found]) -> dict[Case, list[str]]:
    """The cases that are not as they must be, and why."""
    by_name = {each["case"]: each for each in found}
    assert by_name.keys() == {case.name for case in cases}
    return {case: faults for case in cases if (faults := wrong(case, by_name[case.name]))}


def show(cases: Sequence[Case], found: Sequence[Found], capsys: pytest.CaptureFixture[str]) -> None:
    """Print how many cases there were, of which kinds."""
    kills = Counter(case.kill for case in cases)
    runs = sum(each["runs"] for each in found)
    with capsys.disabled():
        print(  # noqa: T201 - the count is what this test is asked for
            f"\nfault matrix: {len(cases)} cases ({len(WRITES + READS)} steps, {len(FAULTS)} faults), "
            f"{len(cases) - kills['no']} of them with kill -9; {runs} runs"
        )


def test_every_fault_at_every_step_ends_with_one_right_invoice(
    matrix: Matrix, capsys: pytest.CaptureFixture[str]
) -> None:
    """No duplicate customer or invoice, no draft left, every line and total right, whatever goes wrong where."""
    cases = all_cases()
    found = matrix.run(cases)
    show(cases, found, capsys)
    assert all_wrong(cases, found) == {}
    assert len(cases) >= 200


@pytest.mark.parametrize(
    ("defence", "fault"), [("look_up", "applied_error_stored"), ("same_key", "applied_then_dropped")]
)
def test_the_matrix_finds_out_when_a_defence_is_missing(matrix: Matrix, defence: str, fault: str) -> None:
    """Without the look after a dead key, or without the same key, there are two customers or two invoices."""
    cases = [Case(f"case-{step}", step, fault, "no") for step in ("create_customer", "create_invoice")]
    found = all_wrong(cases, matrix.run(cases, defence))
    assert [faults[0].split()[:2] for faults in found.values()] == [["2", "customers"], ["2", "invoices"]]


TWO = [
    Case("chaos-1", "any", "0", "no", customers=4, periods=2, pushers=2),
    Case("chaos-2", "any", "60", "no", customers=4, periods=2, pushers=2),
    Case("chaos-3", "any", "120", "no", customers=4, periods=2, pushers=2),
]
"""Two processes push the same eight invoices: undisturbed, and with faults by chance at any request."""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_two_pushers_at_once_end_as_one_does(tmp_path: Path, kind: str) -> None:
    """Two real processes at the same invoices, with faults at 0, 6 and 12 % of all requests: each invoice once."""
    with new_control_url(kind, tmp_path) as url:
        open_control(url).dispose()
        found = Matrix(tmp_path, [url] * len(TWO)).run(TWO)
    assert {each["case"]: (each["ended"], each["faults"]) for each in found} == {
        case.name: ("finalized", []) for case in TWO
    }
    assert [each["hits"] > 0 for each in sorted(found, key=lambda each: str(each["case"]))] == [
        False,
        True,
        True,
    ]


@pytest.mark.torture
def test_the_matrix_over_postgresql_with_keys_that_stripe_has_forgotten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The long form: each run after the first is a day later, so that only looking tells what was applied."""
    with postgres(tmp_path) as matrix:
        cases = all_cases(next_day=True)
        found = matrix.run(cases)
    show(cases, found, capsys)
    assert all_wrong(cases, found) == {}

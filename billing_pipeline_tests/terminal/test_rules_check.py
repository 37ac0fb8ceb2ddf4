"""`billing rules check` tells faults and gaps with file, line and field, and ends with a status for scripts."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from billing_pipeline.settings import PROJECT_ROOT

Billing = Callable[..., Any]
DEMO = PROJECT_ROOT / "data" / "rule_books"


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    """The newest rule book, with a unit that no meter takes."""
    path = tmp_path / "draft.yaml"
    text = (DEMO / "2026-10-16.yaml").read_text("utf-8")
    path.write_text(
        text.replace("units: [token, call, second]", "units: [token, call, second, image]"), "utf-8"
    )
    return path


def test_the_projects_own_rule_books_are_sound(tmp_path: Path, billing: Billing) -> None:
    """Without files the folder of the settings is checked; no home is made for that."""
    done = billing(tmp_path / "home", "rules", "check", "--strict")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "2 rule books: 0 faults, 0 warnings, 0 notes"
    assert not (tmp_path / "home").exists()


def test_faults_of_every_file_are_told_with_status_1(tmp_path: Path, draft: Path, billing: Billing) -> None:
    """File, line, field and what to do; where there are faults gaps are not looked for."""
    broken = tmp_path / "broken.yaml"
    broken.write_text(
        draft.read_text("utf-8").replace("currency: eur\n    charges", "currency: eux\n    charges")
    )
    done = billing(tmp_path / "home", "rules", "check", broken, tmp_path / "none.yaml", draft)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"{broken}:")
    assert ": plans.enterprise.currency: unknown currency 'eux'" in lines[0]
    assert lines[1].startswith(f"{tmp_path / 'none.yaml'}:1: document: cannot be read")
    assert lines[-1] == "3 rule books: 2 faults, 0 warnings, 0 notes"


def test_a_warning_ends_with_status_1_only_if_strict(tmp_path: Path, draft: Path, billing: Billing) -> None:
    """It names the place as a fault does."""
    done = billing(tmp_path / "home", "rules", "check", draft)
    assert done.returncode == 0
    assert done.stdout.startswith(f"{draft}:6: units[3]: warning: no meter takes the unit 'image'")
    assert billing(tmp_path / "home", "rules", "check", "--strict", draft).returncode == 1


def test_the_report_as_json(tmp_path: Path, draft: Path, billing: Billing) -> None:
    """Everything the lines say, with a code per kind of gap."""
    document = json.loads(billing(tmp_path / "home", "rules", "check", "--json", draft).stdout)
    assert document["ok"] is True
    assert document["files"] == [str(draft)]
    assert document["faults"] == document["notes"] == []
    (warning,) = document["warnings"]
    assert {name: warning[name] for name in ("file", "line", "field", "code")} == {
        "file": str(draft),
        "line": 6,
        "field": "units[3]",
        "code": "unit_without_meter",
    }


def test_a_folder_with_faults_is_told_as_a_whole(tmp_path: Path, billing: Billing) -> None:
    """Also what two files have in common that they may not."""
    folder = tmp_path / "data" / "rule_books"
    folder.mkdir(parents=True)
    for name in ("a.yaml", "b.yaml"):
        shutil.copy(DEMO / "2026-10-16.yaml", folder / name)
    done = billing(
        tmp_path / "home", "rules", "check", "--json", changed={"BILLING_DATA": str(tmp_path / "data")}
    )
    assert done.returncode == 1
    faults = json.loads(done.stdout)["faults"]
    assert [fault["field"] for fault in faults] == ["version", "effective_from"]

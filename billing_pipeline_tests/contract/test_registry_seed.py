"""The registry seed: read in order, refused with every fault's line and field."""

from datetime import date
from pathlib import Path

import pytest

from billing_pipeline.contract.registry import Registry
from billing_pipeline.contract.registry_seed import load_seed
from billing_pipeline.errors import DocumentError
from billing_pipeline.rating.agreement import agreement_of

PROJECT_SEED = Path(__file__).resolve().parents[2] / "data" / "registry.yaml"
SEED = """\
customers:
  - id: acme
    name: Acme Inc.
    email: billing@acme.example
    anchor_day: 31
    effective_from: 2026-01-01
    plan: standard
    plans:
      - plan: scale
        effective_from: 2026-07-01
    projects:
      - support-bot
      - id: research
        effective_from: 2026-03-01
        closed_from: 2026-09-01
    closed_from: 2027-01-01
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "registry.yaml"
    path.write_text(text, "utf-8")
    return path


def test_a_seed_precedes_the_log(tmp_path: Path) -> None:
    """All its changes stand at offset -1 and answer like any others."""
    changes = load_seed(write(tmp_path, SEED))
    registry = Registry(changes)
    assert {change.queue_offset for change in changes} == {-1}
    assert registry.projects("acme") == ("research", "support-bot")
    assert agreement_of(registry, "acme").plan_on(date(2026, 6, 30)) == "standard"
    assert agreement_of(registry, "acme").plan_on(date(2026, 7, 1)) == "scale"
    assert registry.anchor_day("acme") == 31
    assert registry.closed_at("acme", "research") is not None


def test_the_seed_of_the_project_is_valid_and_empty() -> None:
    """Customers arrive through the log."""
    assert load_seed(PROJECT_SEED) == []


def test_the_form_documented_in_the_seed_is_valid(tmp_path: Path) -> None:
    """The commented example can be used as it stands."""
    lines = PROJECT_SEED.read_text("utf-8").splitlines()
    start = lines.index("# customers:")
    example = [line.removeprefix("# ") for line in lines[start:] if line.startswith("#")]
    assert len(load_seed(write(tmp_path, "\n".join(example)))) == 7


@pytest.mark.parametrize("text", ["", "# nothing\n", "customers:\n"])
def test_an_empty_seed_is_no_fault(tmp_path: Path, text: str) -> None:
    """Neither is a missing file."""
    assert load_seed(write(tmp_path, text)) == []
    assert load_seed(tmp_path / "absent.yaml") == []


def test_every_fault_is_listed_with_line_and_field(tmp_path: Path) -> None:
    """Unknown keys, wrong values and ids used twice, all at once."""
    text = """\
customers:
  - id: acme
    effective_from: 2026-01-01
    anchor_day: 32
    plann: x
  - id: a/b
    effective_from: soon
    projects: bot
  - id: acme
    effective_from: 2026-01-01
    projects: [bot, bot]
"""
    with pytest.raises(DocumentError) as caught:
        load_seed(write(tmp_path, text))
    found = {(fault.line, fault.field) for fault in caught.value.faults}
    assert found >= {
        (4, "customers[0].anchor_day"),
        (5, "customers[0].plann"),
        (6, "customers[1].id"),
        (7, "customers[1].effective_from"),
        (8, "customers[1].projects"),
        (9, "customers[2].id"),
        (11, "customers[2].projects[1].id"),
    }


def test_what_is_not_yaml_is_a_fault_with_its_line(tmp_path: Path) -> None:
    """A broken file says where it is broken."""
    with pytest.raises(DocumentError) as caught:
        load_seed(write(tmp_path, "customers:\n  - id: [acme\n"))
    assert caught.value.faults[0].line >= 2

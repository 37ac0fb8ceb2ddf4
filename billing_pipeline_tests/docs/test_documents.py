"""The documents are true to the code: links, commands, options, reason codes, tables, checks, jobs and settings."""

import re
import shlex
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import click
import pytest

from billing_pipeline import settings
from billing_pipeline.cli import billing
from billing_pipeline.contract.reason_codes import CorrectionReason, RejectionCode, UsageReason
from billing_pipeline.gateway.request_code import RequestCode
from billing_pipeline.schemas.document import tables_document
from billing_pipeline.schemas.tables import TABLES

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
CODES = {code.value for code in (*UsageReason, *CorrectionReason, *RejectionCode, *RequestCode)}
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as they are made on the web: lower case, words joined by hyphens."""
    text = FENCE.sub("", page.read_text("utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(text)}


def commands(text: str) -> Iterator[list[str]]:
    """Every `billing …` in code: fenced, indented or between backticks."""
    for line in text.splitlines():
        for found in re.findall(r"(?:^|`|\$ |uv run )(billing [^`]+)", line.strip()):
            code = line.startswith(("    ", "$ ", "uv ")) or f"`{found}" in line
            if code:
                lexer = shlex.shlex(found, posix=True, punctuation_chars=True)
                lexer.commenters = ""
                yield list(takewhile(lambda word: word not in {"|", ">", "…", "│"}, lexer))


def test_the_tables_document_is_up_to_date() -> None:
    """`docs/tables.md` is what the schemas say."""
    assert (ROOT / "docs" / "tables.md").read_text("utf-8") == tables_document(), "run: make docs"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_relative_link_resolves(page: Path) -> None:
    """To a file that is there, and to a heading that is in it."""
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name} links to {target}, which is not there"
        assert not anchor or anchor in anchors(file), f"{page.name} links to {target}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_command_and_option_exists(page: Path) -> None:
    """A `billing` command line in a document names known commands, and only options that they have."""
    for words in commands(page.read_text("utf-8")):
        command: click.Command = billing
        rest = words[1:]
        while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
            known = command.commands
            assert rest[0] in known, f"{page.name}: {' '.join(words)}: {rest[0]!r} is none of {sorted(known)}"
            command = known[rest.pop(0)]
        options = {"--help", "-h", "--version"}
        options |= {option for each in command.params for option in each.opts}
        for word in rest:
            if word.startswith("--"):
                assert word in options, f"{page.name}: {' '.join(words)}: no option {word}"


def test_commands_are_found_in_the_documents() -> None:
    """The pattern above finds each command somewhere: none is undocumented."""
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    assert {words[1] for words in commands(text) if len(words) > 1} >= set(billing.commands)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_reason_code_exists(page: Path) -> None:
    """What is rejected as something, and what looks like a rejection's code, is one."""
    text = page.read_text("utf-8")
    named = re.findall(r"rejected as `([a-z_]+)`", text)
    named += re.findall(r"`((?:unknown|too|missing|invalid|future|over|no_rules)_[a-z_]+)`", text)
    named += re.findall(r"rejected:([a-z_]+)", text)
    assert set(named) <= CODES, f"{page.name}: {sorted(set(named) - CODES)}"


def test_every_answer_of_the_gateway_is_explained() -> None:
    """By its code, but for paths and methods that there are not."""
    text = (ROOT / "docs" / "gateway.md").read_text("utf-8")
    untold = {code.value for code in RequestCode if f"`{code}`" not in text}
    assert untold == {RequestCode.NOT_FOUND, RequestCode.METHOD_NOT_ALLOWED}


def test_every_table_is_drawn_in_the_readme() -> None:
    """The picture of the pipeline leaves no table out."""
    picture = " ".join((ROOT / "README.md").read_text("utf-8").split())
    missing = {table.name for table in TABLES if table.name not in picture}
    assert missing <= {"rejected_usage_events"}, "its name is drawn over two lines"


def test_every_setting_is_in_the_readme() -> None:
    """Environment variables and their names in the file."""
    text = (ROOT / "README.md").read_text("utf-8")
    for name, variable in settings._NAMES.items():
        assert f"| `{variable}` | `{name}` |" in text


def test_the_readme_names_no_unknown_variable() -> None:
    """What is called BILLING_… there is read somewhere."""
    text = (ROOT / "README.md").read_text("utf-8")
    known = {*settings._NAMES.values(), "BILLING_TOML", "BILLING_DAGSTER", "BILLING_TRACES"}
    assert set(re.findall(r"\bBILLING_[A-Z_]+\b", text)) <= known


def test_operations_names_every_check_and_job() -> None:
    """As Dagster knows them."""
    from billing_pipeline.definitions import defs

    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    repository = defs().get_repository_def()
    checks = {key.name for key in repository.asset_graph.asset_check_keys}
    for name in checks - {f"{table.name}_schema" for table in TABLES}:
        assert f"| `{name}` |" in text
    for name in ("records_of_day", "rollups_of_day", "rollups_complete", "invoices_of_day", "landing"):
        assert f"`{name}`" in text
        assert repository.has_job(name)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_code_paths_exist(page: Path) -> None:
    """A module, statement or test that a page names is there."""
    package, tests = ROOT / "billing_pipeline", ROOT / "billing_pipeline_tests"
    for name in re.findall(r"`([\w/]+/[\w/]+\.(?:py|sql|yaml))`", page.read_text("utf-8")):
        places = [base / name for base in (ROOT, package, tests, tests / "rating")]
        assert any(place.exists() for place in places), f"{page.name} names {name}"

"""Reads the registry seed, the customers from before the log begins; `data/registry.yaml` says its form."""

from datetime import date, datetime
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from billing_pipeline.contract.limits import ID_CHARACTERS
from billing_pipeline.contract.registry import RegistryChange
from billing_pipeline.errors import DocumentError, DocumentFault

_CUSTOMER_FIELDS = (
    "id",
    "name",
    "email",
    "anchor_day",
    "effective_from",
    "closed_from",
    "plan",
    "plans",
    "projects",
)
_PROJECT_FIELDS = ("id", "effective_from", "closed_from")
_LAST_DAY = 31
_PLAN_FIELDS = ("plan", "effective_from")


def load_seed(path: Path) -> list[RegistryChange]:
    """The changes of the seed in the order of the file, all at offset -1; none where there is no file.

    Raises:
        DocumentError: the file has faults; all of them are listed with line and field.
    """
    if not path.is_file():
        return []
    try:
        document = YAML(typ="rt").load(path.read_text("utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        line = mark.line + 1 if mark else 1
        raise DocumentError([DocumentFault(str(path), line, "document", f"is not YAML: {error}")]) from error
    reader = _Reader(str(path))
    reader.read(document)
    if reader.faults:
        raise DocumentError(reader.faults)
    return reader.changes


class _Reader:
    """Turns the document into changes and keeps every fault it meets."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.faults: list[DocumentFault] = []
        self.changes: list[RegistryChange] = []
        self._seen: set[str] = set()

    def read(self, document: Any) -> None:
        if document is None:
            return
        if not isinstance(document, CommentedMap):
            self._fault(1, "document", "must be a mapping with the key customers")
            return
        self._only(document, ("customers",), "")
        for customer, field in self._entries(document, "customers", ""):
            self._customer(customer, field)

    def _customer(self, entry: CommentedMap, field: str) -> None:
        self._only(entry, _CUSTOMER_FIELDS, f"{field}.")
        customer_id = self._id(entry, field, "")
        start = self._day(entry, "effective_from", field)
        if start is None:
            self._fault(entry.lc.line + 1, f"{field}.effective_from", "must be a date, like 2026-01-01")
            start = date.min
        details: dict[str, object] = {"name": self._text(entry, "name", field) or customer_id}
        email, anchor_day = self._text(entry, "email", field), entry.get("anchor_day")
        if email is not None:
            details["email"] = email
        if anchor_day is not None:
            if (
                isinstance(anchor_day, bool)
                or not isinstance(anchor_day, int)
                or not 1 <= anchor_day <= _LAST_DAY
            ):
                self._fault(
                    self._line(entry, "anchor_day"),
                    f"{field}.anchor_day",
                    "must be a day of the month, 1 to 31",
                )
            else:
                details["anchor_day"] = int(anchor_day)
        self.changes.append(RegistryChange("customer", customer_id, "register", start, details))
        self._plans(entry, customer_id, start, field)
        self._projects(entry, customer_id, start, field)
        closed = self._day(entry, "closed_from", field)
        if closed is not None:
            self.changes.append(RegistryChange("customer", customer_id, "close", closed))

    def _plans(self, entry: CommentedMap, customer_id: str, start: date, field: str) -> None:
        plan = self._text(entry, "plan", field)
        if plan is not None:
            self.changes.append(
                RegistryChange("plan_assignment", customer_id, "assign", start, {"plan": plan})
            )
        for assignment, path in self._entries(entry, "plans", f"{field}."):
            self._only(assignment, _PLAN_FIELDS, f"{path}.")
            name = self._text(assignment, "plan", path)
            day = self._day(assignment, "effective_from", path)
            if name is None or day is None:
                self._fault(assignment.lc.line + 1, path, "must have a plan and an effective_from")
                continue
            self.changes.append(RegistryChange("plan_assignment", customer_id, "assign", day, {"plan": name}))

    def _projects(self, entry: CommentedMap, customer_id: str, start: date, field: str) -> None:
        for project, path in self._entries(entry, "projects", f"{field}.", text_key="id"):
            self._only(project, _PROJECT_FIELDS, f"{path}.")
            project_id = f"{customer_id}/{self._id(project, path, f'{customer_id}/')}"
            day = self._day(project, "effective_from", path) or start
            self.changes.append(RegistryChange("project", project_id, "register", day))
            closed = self._day(project, "closed_from", path)
            if closed is not None:
                self.changes.append(RegistryChange("project", project_id, "close", closed))

    def _entries(
        self, mapping: CommentedMap, key: str, path: str, text_key: str | None = None
    ) -> list[tuple[CommentedMap, str]]:
        """The mappings under a key with their paths; with `text_key` a bare text stands for that one key."""
        entries = mapping.get(key)
        if entries is None:
            return []
        if not isinstance(entries, CommentedSeq):
            self._fault(self._line(mapping, key), f"{path}{key}", "must be a list")
            return []
        found: list[tuple[CommentedMap, str]] = []
        for index, entry in enumerate(entries):
            field, line = f"{path}{key}[{index}]", entries.lc.item(index)[0]
            if text_key is not None and isinstance(entry, str):
                mapped = CommentedMap({text_key: str(entry)})
                mapped.lc.line = line
                found.append((mapped, field))
            elif isinstance(entry, CommentedMap):
                found.append((entry, field))
            else:
                self._fault(line + 1, field, "must be a mapping")
        return found

    def _id(self, entry: CommentedMap, field: str, prefix: str) -> str:
        value = entry.get("id")
        line = self._line(entry, "id")
        if not isinstance(value, str) or not 1 <= len(value) <= ID_CHARACTERS or not value.isprintable():
            self._fault(line, f"{field}.id", f"must be printable text of 1 to {ID_CHARACTERS} characters")
            return "?"
        if not prefix and "/" in value:
            self._fault(line, f"{field}.id", "must have no slash")
        if prefix + value in self._seen:
            self._fault(line, f"{field}.id", f"{value} is listed already; ids are never used twice")
        self._seen.add(prefix + value)
        return str(value)

    def _text(self, entry: CommentedMap, key: str, field: str) -> str | None:
        value = entry.get(key)
        if value is not None and (not isinstance(value, str) or not value):
            self._fault(self._line(entry, key), f"{field}.{key}", "must be text that is not empty")
            return None
        return None if value is None else str(value)

    def _day(self, entry: CommentedMap, key: str, field: str) -> date | None:
        value = entry.get(key)
        if value is None:
            return None
        if isinstance(value, datetime) or not isinstance(value, date):
            self._fault(
                self._line(entry, key), f"{field}.{key}", "must be a date, like 2026-01-01 (00:00 UTC of it)"
            )
            return None
        return value

    def _only(self, entry: CommentedMap, known: tuple[str, ...], path: str) -> None:
        for key in entry:
            if key not in known:
                self._fault(self._line(entry, key), f"{path}{key}", f"is not one of {', '.join(known)}")

    def _line(self, entry: CommentedMap, key: str) -> int:
        try:
            return int(entry.lc.key(key)[0]) + 1
        except (KeyError, AttributeError, TypeError):
            return int(entry.lc.line or 0) + 1

    def _fault(self, line: int, field: str, message: str) -> None:
        self.faults.append(DocumentFault(self.path, line, field, message))

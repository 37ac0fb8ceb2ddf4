"""Reads a YAML document field by field and lists every fault with its path, line and dotted field.

The document is read as YAML nodes, not as Python values, because nodes keep the line and the text as it was
written: `1.10` is read as the decimal 1.10 and never passes through a float. Anchors and aliases are refused,
so a small file cannot grow when it is read.
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from billing_pipeline.errors import DocumentError, DocumentFault

ITEMS_MOST = 100_000
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DECIMAL = re.compile(r"(0|[1-9][0-9]*)(\.[0-9]+)?")
_NO_INSTANT = datetime(1, 1, 1, tzinfo=UTC)
_WHOLE = re.compile(r"0|[1-9][0-9]{0,8}")


@dataclass(frozen=True)
class Field:
    """One place of a document. A read that finds a fault notes it and answers an empty value of its type.

    So reading goes on and finds all faults; who started it raises them together (`raise_faults`) and never
    uses the values. `node` is None where the field is missing or faulty already.
    """

    path: str
    node: Node | None
    name: str = ""
    line: int = 1
    faults: list[DocumentFault] = field(default_factory=list)

    def fault(self, message: str) -> None:
        """Note a fault of this field."""
        if self.node is not None:
            self.faults.append(DocumentFault(self.path, self.line, self.name or "document", message))

    def raise_faults(self) -> None:
        """Raise all faults noted so far, in the order of their lines.

        Raises:
            DocumentError: there is at least one.
        """
        if self.faults:
            raise DocumentError(sorted(self.faults, key=lambda fault: fault.line))

    def mapping(self, *, required: Sequence[str] = (), optional: Sequence[str] = ()) -> dict[str, "Field"]:
        """The fields of a mapping with known keys: all required ones, and the optional ones that are set."""
        known = [*required, *optional]
        found: dict[str, Field] = {}
        for key, child in self._pairs():
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
                hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
                child.fault(f"unknown key {key!r}; {hint}")
            elif not child.is_null:
                found[key] = child
        for key in required:
            if key not in found:
                missing = replace(self, name=self._child_name(key))
                missing.fault("missing; give a value")
                found[key] = replace(missing, node=None)
        return found

    def named(self) -> dict[str, "Field"]:
        """The fields of a mapping whose keys are names of the author's own choice."""
        found = self.entries(characters_most=64)
        for key, child in found.items():
            if not NAME.fullmatch(key):
                child.fault(f"{key!r} is no name; use 1 to 64 of a-z, 0-9, '.', '_', '-'")
        return found

    def entries(self, *, characters_most: int) -> dict[str, "Field"]:
        """The fields of a mapping whose keys are any text, such as names of dimensions."""
        found = dict(self._pairs())
        for key, child in found.items():
            if not 1 <= len(key) <= characters_most:
                child.fault(
                    f"the key {key!r} is too short or too long; use 1 to {characters_most} characters"
                )
        return found

    def child(self, key: str) -> "Field | None":
        """One field of a mapping whose other keys are read later; None where it is left out."""
        if not isinstance(self.node, MappingNode):
            return None
        for key_node, node in self.node.value:
            if isinstance(key_node, ScalarNode) and key_node.value == key:
                return replace(self, node=node, name=self._child_name(key), line=key_node.start_mark.line + 1)
        return None

    def items(self, *, least: int = 0, most: int = ITEMS_MOST) -> list["Field"]:
        """The items of a list, `least` to `most` of them."""
        if self.node is None:
            return []
        if not isinstance(self.node, SequenceNode):
            self.fault("give a list")
            return []
        nodes: list[Node] = self.node.value
        if not least <= len(nodes) <= most:
            self.fault(f"has {len(nodes)} items; give {least} to {most}")
        return [
            replace(self, node=node, name=f"{self.name}[{index}]", line=node.start_mark.line + 1)
            for index, node in enumerate(nodes)
        ]

    def text(self, *, most: int = 256) -> str:
        """The text of a scalar as it stands in the file, 1 to `most` characters."""
        if self.node is None:
            return ""
        if not isinstance(self.node, ScalarNode) or self.is_null:
            self.fault("give a text")
            return ""
        text: str = self.node.value
        if not 1 <= len(text) <= most or "\0" in text:
            self.fault(f"give a text of 1 to {most} characters")
            return ""
        return text

    def name_text(self) -> str:
        """A name: 1 to 64 of a-z, 0-9, '.', '_', '-'."""
        text = self.text()
        if text and not NAME.fullmatch(text):
            self.fault(f"{text!r} is no name; use 1 to 64 of a-z, 0-9, '.', '_', '-'")
            return ""
        return text

    def choice(self, known: Sequence[str]) -> str:
        """One of the known words."""
        text = self.text()
        if text and text not in known:
            near = difflib.get_close_matches(text, known, n=1, cutoff=0.5)
            hint = (
                f"did you mean {near[0]!r}?" if near else f"give one of {', '.join(known) or '(none exists)'}"
            )
            self.fault(f"unknown {text!r}; {hint}")
            return ""
        return text

    def switch(self) -> bool:
        """`true` or `false`."""
        return self.choice(("true", "false")) == "true"

    def decimal(self, *, integer_digits: int, fraction_digits: int) -> Decimal | None:
        """A decimal >= 0, exactly as written; None where it is faulty, for zero could pass for a value."""
        text = self.text()
        if not text:
            return None
        if not _DECIMAL.fullmatch(text):
            self.fault(f"{text!r} is no plain decimal number >= 0; write it like 0.25")
            return None
        whole, _, fraction = text.partition(".")
        if len(whole) > integer_digits or len(fraction.rstrip("0")) > fraction_digits:
            most = f"{integer_digits} before and {fraction_digits} after the point"
            self.fault(f"{text} has too many digits; give at most {most}")
            return None
        return Decimal(f"{whole}.{fraction.rstrip('0')}" if fraction.rstrip("0") else whole)

    def whole(self, *, least: int, most: int) -> int:
        """A whole number within bounds."""
        text = self.text()
        if text and not (_WHOLE.fullmatch(text) and least <= int(text) <= most):
            self.fault(f"{text!r} is no whole number from {least} to {most}")
            return least
        return int(text or least)

    def instant(self) -> datetime:
        """An instant in UTC, written with its offset (`2026-10-16T00:00:00Z`)."""
        text = self.text()
        if not text:
            return _NO_INSTANT
        try:
            instant = datetime.fromisoformat(text)
            if instant.tzinfo is not None:
                return instant.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        self.fault(f"{text!r} is no instant with an offset; write it like 2026-10-16T00:00:00Z")
        return _NO_INSTANT

    def day(self) -> date:
        """A date (`2026-10-01`); 00:00 UTC of it is meant."""
        text = self.text()
        if not text:
            return date.min
        try:
            if _DAY.fullmatch(text):
                return date.fromisoformat(text)
        except ValueError:
            pass
        self.fault(f"{text!r} is no date; write it like 2026-10-01 (00:00 UTC of it)")
        return date.min

    @property
    def is_null(self) -> bool:
        """The value is left out or written as null."""
        return isinstance(self.node, ScalarNode) and self.node.tag == "tag:yaml.org,2002:null"

    @property
    def is_scalar(self) -> bool:
        """The value is a single text or number, no list and no mapping."""
        return isinstance(self.node, ScalarNode)

    @property
    def is_list(self) -> bool:
        """The value is a list."""
        return isinstance(self.node, SequenceNode)

    def _child_name(self, key: str) -> str:
        return f"{self.name}.{key}" if self.name else key

    def _pairs(self) -> Iterator[tuple[str, "Field"]]:
        if self.node is None:
            return
        if not isinstance(self.node, MappingNode):
            self.fault("give a mapping (key: value)")
            return
        seen: set[str] = set()
        for key_node, node in self.node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, ScalarNode):
                replace(self, line=line).fault("has a key that is no single text; write key: value")
                continue
            key = key_node.value
            child = replace(self, node=node, name=self._child_name(key), line=line)
            if key in seen:
                child.fault(f"{key!r} is given twice; keep one")
                continue
            seen.add(key)
            yield key, child

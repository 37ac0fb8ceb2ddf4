"""One entry of a registry file: the change it stands for, and where it stands, for whoever finds a fault in it."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import NamedTuple

import msgspec
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from billing_pipeline.contract.limits import ID_CHARACTERS
from billing_pipeline.contract.registry import Change, Entity, RegistryChange
from billing_pipeline.rating.document import Field

DETAILS_BYTES_MOST = 65_536
ENTRIES_MOST = 10_000
REASON_CHARACTERS_MOST = 2_000
_NULL = "tag:yaml.org,2002:null"


class RegistryEntry(NamedTuple):
    """A change with its place: `field` is the entry, `keys` are the fields it has."""

    change: RegistryChange
    field: Field
    keys: Mapping[str, Field]

    def place(self, key: str) -> Field:
        """The field of this name, or the whole entry where it has none."""
        return self.keys.get(key, self.field)


class Dated(NamedTuple):
    """An item of a list that holds from a day on: its field, the fields it has, and the day."""

    field: Field
    keys: dict[str, Field]
    start: date

    def entry(
        self, entity: Entity, entity_id: str, change: Change, details: Mapping[str, object]
    ) -> RegistryEntry:
        """The entry that it stands for."""
        new = RegistryChange(entity, entity_id, change, self.start, details)
        return RegistryEntry(new, self.field, self.keys)


def dated_items(
    field: Field, *, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> Iterator[Dated]:
    """The items of a list, each a mapping with `effective_from`."""
    for item in field.items(most=ENTRIES_MOST):
        keys = item.mapping(required=(*required, "effective_from"), optional=optional)
        yield Dated(item, keys, keys["effective_from"].day())


def read_id(field: Field) -> str:
    """An id: printable text without a slash."""
    text = field.text(most=ID_CHARACTERS)
    if not text.isprintable():
        field.fault("has characters that cannot be printed; use printable ones")
    if "/" in text:
        field.fault("has a slash; ids have none")
    return text


def read_until(field: Field | None, start: date) -> dict[str, object]:
    """The detail `until`, the first day on which it no longer holds; none where it is left out."""
    if field is None:
        return {}
    until = field.day()
    if start < until:
        return {"until": until.isoformat()}
    if until > date.min:
        field.fault(f"is not after effective_from, {start}; give the first day on which it no longer holds")
    return {}


def read_why(field: Field | None) -> str:
    """A reason or a name for people: a text that is not blank; "" where the field is missing."""
    if field is None:
        return ""
    text = field.text(most=REASON_CHARACTERS_MOST)
    if text and not text.strip():
        field.fault("is blank; write it out")
    return text.strip()


def check_size(field: Field, details: Mapping[str, object]) -> None:
    """Note where the details are larger than one record of the log should be."""
    size = len(msgspec.json.encode(details))
    if size > DETAILS_BYTES_MOST:
        field.fault(f"has {size} bytes of terms; the most is {DETAILS_BYTES_MOST}, split it by charge")


def plain_value(node: Node) -> object:
    """The value as JSON has it, every scalar as the text that was written: no number becomes a float."""
    if isinstance(node, MappingNode):
        return {
            key.value: plain_value(value)
            for key, value in node.value
            if value.tag != _NULL and isinstance(key, ScalarNode)
        }
    if isinstance(node, ScalarNode):
        text: str = node.value
        return text
    return [plain_value(item) for item in node.value]

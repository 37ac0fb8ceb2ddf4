"""Finds a place of a document again by the names of things, so that what is said of a value names its line."""

from collections.abc import Sequence

from billing_pipeline.rating.document import Field


def place_of(root: Field, path: Sequence[str]) -> Field:
    """The field at a path, or the last one on the way to it that is there.

    Args:
        root: the document.
        path: for each level a key, the `name` (or the text) of an item of a list, or its `[index]`.
    """
    field = root
    for step in path:
        found = field.child(step) or _item(field, step)
        if found is None:
            return field
        field = found
    return field


def _item(field: Field, step: str) -> Field | None:
    if not field.is_list:
        return None
    for index, item in enumerate(field.items()):
        name = item.child("name")
        if step == f"[{index}]" or step == (name.text() if name else item.text() if item.is_scalar else None):
            return item
    return None

"""Reads values that came as JSON (a contract override, a charge for the calculator) as a document's fields.

So that one reader serves rule books and these: the terms are the same, and so are the words of their faults.
"""

from collections.abc import Mapping, Sequence

from ruamel.yaml.error import StringMark
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from billing_pipeline.rating.document import Field

_TAG = "tag:yaml.org,2002:"
_MARK = StringMark("", 0, 0, 0, None, 0)


def field_of(path: str, value: object, name: str = "") -> Field:
    """The root field of a value made of mappings, lists, texts, whole numbers, booleans and None.

    Args:
        path: what faults name as their file, such as `override spring-deal`.
        value: decimals are texts.
        name: the dotted place of the value in it.

    Raises:
        TypeError: there is a float in it, whose digits are not those that were written.
    """
    return Field(path, _node(value), name)


def _node(value: object) -> Node:
    if isinstance(value, Mapping):
        pairs = [(_node(str(key)), _node(each)) for key, each in value.items()]
        return MappingNode(f"{_TAG}map", pairs, _MARK, _MARK)
    if isinstance(value, str):
        return ScalarNode(f"{_TAG}str", value, _MARK, _MARK)
    if isinstance(value, Sequence):
        return SequenceNode(f"{_TAG}seq", [_node(each) for each in value], _MARK, _MARK)
    if value is None:
        return ScalarNode(f"{_TAG}null", "", _MARK, _MARK)
    if isinstance(value, float):
        raise TypeError(f"{value!r} is a float; write decimals as texts")
    return ScalarNode(f"{_TAG}str", str(value).lower(), _MARK, _MARK)

"""The content hash of a document: the same for two files that say the same."""

import hashlib
import json
import re
from typing import Any

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

_NULL = "tag:yaml.org,2002:null"
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")


def content_hash(node: Node) -> str:
    """SHA-256 (hex) of the canonical parsed content of a YAML document.

    Comments, formatting, quoting, the order of keys and the way a number is written (`1.50`, `"1.5"`) do not
    matter, nor does a key set to null; every value and the order of lists do. It is taken from the document
    and not from the objects made of it, so a later release with further settings hashes an old file alike.
    """
    text = json.dumps(_canonical(node), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _canonical(node: Node) -> Any:
    if isinstance(node, MappingNode):
        return {key.value: _canonical(value) for key, value in node.value if value.tag != _NULL}
    if isinstance(node, ScalarNode):
        text: str = node.value
        if node.tag == _NULL:
            return None
        if _NUMBER.fullmatch(text) and "." in text:
            return text.rstrip("0").rstrip(".")
        return text
    return [_canonical(item) for item in node.value]

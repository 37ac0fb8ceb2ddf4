"""Opens a YAML document: bounded, UTF-8, one document, without anchors and directives."""

from dataclasses import replace
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from billing_pipeline.rating.document import Field

DOCUMENT_BYTES_MOST = 8 * 1024 * 1024


def read_document(path: Path, *, may_be_empty: bool = False) -> Field:
    """The root of a YAML document; null where it is empty and may be so.

    Raises:
        DocumentError: the file is no readable UTF-8, no YAML, too large, or uses anchors.
    """
    root = Field(str(path), ScalarNode("tag:yaml.org,2002:null", ""))
    try:
        content = path.read_bytes()
        if len(content) > DOCUMENT_BYTES_MOST:
            root.fault(f"has {len(content)} bytes; the most is {DOCUMENT_BYTES_MOST}, split it")
        root.raise_faults()
        text = content.decode("utf-8")
        _refuse_directives(root, text)
        node = YAML(typ="safe", pure=True).compose(text)
    except OSError as error:
        root.fault(f"cannot be read ({error.strerror}); check the path")
    except UnicodeDecodeError as error:
        root.fault(f"is no UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8")
    except RecursionError:
        root.fault("is nested too deeply; about eight levels are enough")
    except MarkedYAMLError as error:
        mark = error.problem_mark
        replace(root, line=mark.line + 1 if mark else 1).fault(f"is no YAML: {error.problem}")
    except YAMLError as error:
        root.fault(f"is no YAML: {error}")
    else:
        if node is not None:
            _refuse_aliases(root, node)
        elif may_be_empty:
            return root
        else:
            root.fault("is empty")
    root.raise_faults()
    return replace(root, node=node, line=node.start_mark.line + 1)


def _refuse_directives(root: Field, text: str) -> None:
    # A document needs none, and the parser fails without a place on those it does not know.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.startswith("%"):
            replace(root, line=number).fault("has a directive; remove the line that starts with %")
    root.raise_faults()


def _refuse_aliases(root: Field, node: Node) -> None:
    seen: set[int] = set()
    waiting: list[Node] = [node]
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            replace(root, line=current.start_mark.line + 1).fault(
                "has an anchor used as an alias; write it out (a rule book has `price_tables`)"
            )
            return
        seen.add(id(current))
        if isinstance(current, MappingNode):
            waiting += [part for pair in current.value for part in pair]
        elif isinstance(current, SequenceNode):
            waiting += current.value

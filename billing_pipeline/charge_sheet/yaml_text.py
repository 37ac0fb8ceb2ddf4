"""A piece of a document as YAML text again, with its numbers as they were written."""

from io import StringIO
from textwrap import indent

from ruamel.yaml import YAML

from billing_pipeline.rating.document import Field

WIDTH = 110


def yaml_text(name: str, field: Field) -> str:
    """The field under its name: `name: {…}` where it is short, else a block of indented lines."""
    text, yaml = StringIO(), YAML()
    yaml.width = WIDTH
    yaml.serialize(field.node, text)
    value = text.getvalue()
    return f"{name}: {value}" if value.startswith("{") else f"{name}:\n{indent(value, '  ')}"

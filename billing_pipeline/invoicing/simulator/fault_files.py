"""Faults as people write them: a line of text, or a YAML file of lines or mappings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from billing_pipeline.errors import FaultRuleError
from billing_pipeline.invoicing.simulator.faults import FaultKind, FaultRule

MAX_RULES = 1000
_OPTIONS = ("after", "times", "seconds")
_FIELDS = ("method", "path", "kind", *_OPTIONS)


def parse_fault(text: str) -> FaultRule:
    """The rule of one line: `POST /v1/invoices/*/finalize error_stored times=2 after=1`.

    Raises:
        FaultRuleError: the line is none.
    """
    words = text.split()
    names = [word.partition("=")[0] for word in words[3:]]
    if len(words) < 3 or not all("=" in word for word in words[3:]) or len(set(names)) < len(names):  # noqa: PLR2004
        raise FaultRuleError(
            text, f"write METHOD PATH KIND, then any of {', '.join(_OPTIONS)}, as NAME=VALUE"
        )
    options = dict(word.split("=", 1) for word in words[3:])
    return _rule({"method": words[0], "path": words[1], "kind": words[2], **options}, text)


def read_faults(path: Path) -> list[FaultRule]:
    """The rules of a YAML file: a list whose items are lines, or mappings with the fields of a rule.

    Raises:
        FaultRuleError: the file is not there or not YAML, or an item is no rule.
    """
    try:
        items = YAML(typ="safe", pure=True).load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise FaultRuleError(str(path), f"cannot be read ({error})") from error
    if not isinstance(items, list) or len(items) > MAX_RULES:
        raise FaultRuleError(str(path), f"write a list of at most {MAX_RULES} faults")
    return [_item(item) for item in items]


def _item(item: Any) -> FaultRule:
    if isinstance(item, str):
        return parse_fault(item)
    if isinstance(item, dict) and {"method", "path", "kind"} <= item.keys():
        return _rule({str(name): str(value) for name, value in item.items()}, str(item))
    raise FaultRuleError(str(item), f"write a line, or a mapping with {', '.join(_FIELDS)}")


def _rule(values: Mapping[str, str], text: str) -> FaultRule:
    for name in values:
        if name not in _FIELDS:
            raise FaultRuleError(text, f"{name} is no field of a fault; there are {', '.join(_FIELDS)}")
    try:
        kind = FaultKind(values["kind"])
    except ValueError as error:
        raise FaultRuleError(text, f"the kinds are {', '.join(FaultKind)}") from error
    if not values["path"].startswith(("/", "*")):
        raise FaultRuleError(text, "the path begins with /, like /v1/invoices/*/finalize")
    times = values.get("times", "1")
    try:
        return FaultRule(
            method=values["method"].upper(),
            path=values["path"],
            kind=kind,
            after=int(values.get("after", "0")),
            times=None if times == "always" else int(times),
            seconds=float(values["seconds"]) if "seconds" in values else None,
        )
    except ValueError as error:
        raise FaultRuleError(text, f"not a number ({error})") from error

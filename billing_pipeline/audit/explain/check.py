"""Checks an explanation that somebody was sent: that it is whole, and that the tables still say the same."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from billing_pipeline.audit.explain.explanation import KIND, document_hash
from billing_pipeline.audit.explain.page import document_in
from billing_pipeline.errors import ExplanationError

COMPARED = ("line", "steps", "days", "corrections", "late", "event_rows")
"""What the tables must still say; later lines and revisions in Stripe may have come since."""


class Checked(NamedTuple):
    """A received document. `differences` are the parts that the tables say differently; None where not compared."""

    document: dict[str, Any]
    is_whole: bool
    differences: tuple[str, ...] | None = None

    @property
    def holds(self) -> bool:
        """Whether nothing speaks against it."""
        return self.is_whole and not self.differences


def read_received(path: Path) -> Checked:
    """A document from a JSON file or a page, and whether its hash is right.

    Raises:
        ExplanationError: it is neither, or none of ours.
    """
    try:
        text = path.read_text("utf-8")
        content = json.loads(document_in(text) or text)
    except (OSError, ValueError) as error:
        raise ExplanationError(
            f"{path} holds no explanation ({error}); give a file that --json or --html made"
        ) from error
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise ExplanationError(f"{path} is no {KIND}; give a file that --json or --html made")
    return Checked(content, content.get("document_hash") == document_hash(content))


def compare(received: Checked, now: dict[str, Any]) -> Checked:
    """A received document beside what the tables say now."""
    changed = [name for name in COMPARED if received.document.get(name) != now[name]]
    digests = received.document.get("hashes", {})
    if digests.get("events_sha256") != now["hashes"]["events_sha256"]:
        changed.append("events")
    if not now["hashes"]["verified"]:
        changed.append("evidence_digest")
    return received._replace(differences=tuple(changed))

"""Asks a simulator without HTTP, and reads what it answers."""

import json
from typing import Any
from urllib.parse import urlencode

from billing_pipeline.invoicing.simulator.api import Simulator
from billing_pipeline.invoicing.simulator.http_messages import Request, Response

NOW = 1_790_000_000 - 1_790_000_000 % 86_400
"""A midnight, UTC."""


def send(
    simulator: Simulator, method: str, path: str, form: dict[str, Any], key: str | None = None
) -> Response:
    """The answer, whatever it is."""
    return simulator.handle(Request(method, path, urlencode(form), "sk_test_any", key))


def succeed(simulator: Simulator, method: str, path: str, **form: Any) -> Any:
    """The body of an answer that must be a 200."""
    response = send(simulator, method, path, form)
    assert response.status == 200, response.body
    return json.loads(response.body)


def code(response: Response) -> tuple[int, str | None]:
    """Status and code of a refusal."""
    return response.status, json.loads(response.body)["error"].get("code")

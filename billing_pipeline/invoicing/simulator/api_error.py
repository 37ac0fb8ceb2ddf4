"""Errors as Stripe answers them."""

from typing import Any


class ApiError(Exception):
    """An answer other than 200. Caught by `Simulator.handle`, which turns it into Stripe's error body.

    `keep` says whether the idempotency store keeps it: Stripe keeps what an endpoint answered once it had
    begun, not what was refused before.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        keep: bool = True,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.keep = keep
        fields = {"code": code, "message": message, "param": param, "type": kind}
        self.body: dict[str, Any] = {"error": {name: value for name, value in fields.items() if value}}


def no_such(kind: str, object_id: str, param: str, *, status: int = 404) -> ApiError:
    """An object that is not there: 404 where the path names it, 400 where a parameter does."""
    return ApiError(f"No such {kind}: '{object_id}'", status=status, code="resource_missing", param=param)


def missing(param: str) -> ApiError:
    """A parameter that the endpoint needs although the SDK's type does not say so."""
    return ApiError(f"Missing required param: {param}.", code="parameter_missing", param=param, keep=False)

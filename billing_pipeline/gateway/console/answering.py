"""Answers of the console: pages and ways on, with the headers that keep them to themselves."""

from starlette.responses import Response

from billing_pipeline.gateway.console.html import Html
from billing_pipeline.gateway.console.layout import ROOT

HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


def page_answer(html: Html, status: int = 200) -> Response:
    """A page."""
    return Response(html, status, dict(HEADERS), "text/html; charset=utf-8")


def go(path: str) -> Response:
    """Has the browser go on to a path of the console."""
    return Response(status_code=303, headers=HEADERS | {"location": path})


def set_cookie(
    answer: Response, name: str, value: str, *, is_https: bool, life_seconds: int | None = None
) -> None:
    """A cookie for the console alone, out of reach of scripts and of other sites."""
    answer.set_cookie(
        name, value, max_age=life_seconds, path=ROOT, secure=is_https, httponly=True, samesite="strict"
    )


def end_cookie(answer: Response, name: str) -> None:
    """Forget a cookie."""
    answer.delete_cookie(name, ROOT, httponly=True, samesite="strict")

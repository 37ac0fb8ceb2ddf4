"""A request to the console as it comes: its path, query, cookies and form, each within bounds."""

from urllib.parse import parse_qsl

from billing_pipeline.errors import RequestRefusedError
from billing_pipeline.gateway.gateway import Gateway
from billing_pipeline.gateway.request import Request, Scope
from billing_pipeline.gateway.request_code import RequestCode

FORM_BYTES = 16 * 1024
_FIELDS_MOST = 30


class Ask:
    """A request to the console, before it is known who asks."""

    def __init__(self, request: Request, scope: Scope) -> None:
        self.request = request
        self.scope = scope
        self.path: dict[str, str] = scope.get("path_params", {})
        self.is_https = "https" in {scope.get("scheme"), request.header(b"x-forwarded-proto")}
        self.address = (scope.get("client") or ("",))[0]
        self.query = _fields(request.query_string)
        self.cookies = _cookies(request.header(b"cookie"))

    @property
    def full_path(self) -> str:
        """With its query, as it can be asked for again."""
        path = self.scope.get("raw_path", b"").decode("latin-1").partition("?")[0] or self.scope["path"]
        query = self.request.query_string.decode("latin-1")
        return f"{path}?{query}" if query else path

    def is_from_elsewhere(self) -> bool:
        """Whether the browser says that another site's page asked."""
        return self.request.header(b"sec-fetch-site") in {"cross-site", "same-site"}

    async def form(self, gateway: Gateway) -> dict[str, str]:
        """What a form has sent.

        Raises:
            RequestRefusedError: it is no form, too large or too slow, or another site's page has sent it.
        """
        if self.is_from_elsewhere():
            raise foreign_form()
        if not self.request.header(b"content-type").startswith("application/x-www-form-urlencoded"):
            raise RequestRefusedError(415, RequestCode.UNSUPPORTED_CONTENT_TYPE, "send a form")
        length = self.request.header(b"content-length")
        if length.isdecimal() and len(length) < 20 and int(length) > FORM_BYTES:  # noqa: PLR2004 - digits of 2⁶⁴
            raise _too_large()
        with gateway.budget.share() as share:
            body = await self.request.body(share, gateway.settings.body_seconds)
        if len(body) > FORM_BYTES:
            raise _too_large()
        return _fields(body)


def _fields(text: bytes) -> dict[str, str]:
    """Names and values of a query or form, in UTF-8; of a name that comes twice the last.

    Raises:
        RequestRefusedError: there are too many, or one is no text.
    """
    try:
        found = parse_qsl(
            text.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_FIELDS_MOST
        )
    except ValueError as error:
        raise RequestRefusedError(
            400, RequestCode.INVALID_PARAMETER, "this is no form of the console"
        ) from error
    if any("\0" in value for _, value in found):
        raise RequestRefusedError(
            400, RequestCode.INVALID_PARAMETER, "a field has characters that are no text"
        )
    return dict(found)


def _cookies(header: str) -> dict[str, str]:
    pairs = (part.strip().partition("=") for part in header.split(";"))
    return {name: value for name, is_pair, value in pairs if is_pair}


def foreign_form() -> RequestRefusedError:
    """What is told of a form that is not of this login's own pages."""
    words = "The form is not of this login any more: go back, load the page again, and repeat it."
    return RequestRefusedError(403, RequestCode.FORBIDDEN, words)


def _too_large() -> RequestRefusedError:
    return RequestRefusedError(413, RequestCode.BODY_TOO_LARGE, f"a form has at most {FORM_BYTES} bytes")

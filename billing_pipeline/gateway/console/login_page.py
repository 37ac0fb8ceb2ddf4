"""The page on which people log in."""

from billing_pipeline.gateway.console.html import Html, tag
from billing_pipeline.gateway.console.layout import ROOT, page


def login_page(*, csrf: str, next_path: str, problem: str = "") -> Html:
    """A form for an API key."""
    return page(
        "Log in",
        tag(
            "div",
            tag("h1", "billing guard"),
            tag("p", problem, class_="told bad", role="alert") if problem else None,
            tag(
                "form",
                tag("input", type="hidden", name="csrf", value=csrf),
                tag("input", type="hidden", name="next", value=next_path),
                tag(
                    "label",
                    "Your name, kept with what you decide",
                    tag("input", name="who", autocomplete="username", maxlength=120),
                ),
                tag(
                    "label",
                    "API key with the right guard:admin",
                    tag(
                        "input",
                        name="key",
                        type="password",
                        required=True,
                        autocomplete="current-password",
                        maxlength=200,
                    ),
                ),
                tag("button", "Log in", class_="main"),
                method="post",
                action=f"{ROOT}/login",
            ),
            class_="card login",
        ),
    )


def again_page(path: str) -> Html:
    """Asks the browser to come once more by itself.

    A link from elsewhere, say of a chat, brings no cookie that is strict about its site; this page's own does.
    """
    return page(
        "One moment",
        tag("meta", http_equiv="refresh", content=f"0;url={path}"),
        tag("p", tag("a", "Go on", href=path)),
    )


def problem_page(title: str, words: str) -> Html:
    """Something cannot be shown."""
    return page(
        title,
        tag(
            "div",
            tag("h1", title),
            tag("p", words),
            tag("p", tag("a", "Back", href=ROOT)),
            class_="card login",
        ),
    )

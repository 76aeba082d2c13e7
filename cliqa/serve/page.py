"""The page about the service, from its own OpenAPI description: no script, nothing fetched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'"
)
"""The Content-Security-Policy of the page."""

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}"
    "code,pre{background:#8882;border-radius:4px;padding:.1em .3em}pre{padding:.8em;overflow:auto}"
    "table{border-collapse:collapse}td,th{border:1px solid #8886;padding:.2em .6em;text-align:left}"
    ":root{color-scheme:light dark}"
)


def page(description: Mapping[str, Any]) -> str:
    """Return the page in HTML.

    Args:
        description: The service's OpenAPI description.
    """
    info = description["info"]
    title = escape(info["title"])
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width"><style>'
        f"{STYLE}</style><h1>{title} {escape(info['version'])}</h1>"
        f"<p>{escape(info.get('description', ''))}</p>"
        '<form method="post" action="/score" enctype="multipart/form-data">'
        '<label>Images: <input type="file" name="images" accept="image/*" multiple required>'
        "</label> <button>Score</button></form>"
        "<p>As a description for programs: <a href='/openapi.json'>openapi.json</a></p>"
        f"{''.join(_endpoints(description))}{''.join(_schemas(description))}"
    )


def _endpoints(description: Mapping[str, Any]) -> Iterator[str]:
    """Yield the endpoints with what they answer."""
    for path, methods in description["paths"].items():
        for method, about in methods.items():
            yield f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
            yield f"<p>{escape(about.get('description') or about.get('summary', ''))}</p>"
            kinds = about.get("requestBody", {}).get("content", {})
            if kinds:
                yield f"<p>Body: {', '.join(f'<code>{escape(kind)}</code>' for kind in kinds)}</p>"
            rows = "".join(
                f"<tr><td>{escape(status)}<td>{escape(answer['description'])}"
                for status, answer in about["responses"].items()
            )
            yield f"<table><tr><th>status<th>meaning{rows}</table>"


def _schemas(description: Mapping[str, Any]) -> Iterator[str]:
    """Yield the shapes of the answers."""
    yield "<h2>Answers</h2>"
    for name, schema in description.get("components", {}).get("schemas", {}).items():
        yield f"<h3>{escape(name)}</h3><p>{escape(schema.get('description', ''))}</p>"
        rows = "".join(
            f"<tr><td><code>{escape(key)}</code><td>{escape(value.get('description', ''))}"
            for key, value in schema.get("properties", {}).items()
        )
        yield f"<table><tr><th>key<th>meaning{rows}</table>"

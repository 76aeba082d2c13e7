"""The page about the service, from its own OpenAPI description: no script, nothing fetched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'"
)
"""The Content-Security-Policy of the page."""

TEMPLATE = Path(__file__).with_name("page.html")


def page(description: Mapping[str, Any]) -> str:
    """Return the page in HTML.

    Args:
        description: The service's OpenAPI description.
    """
    info = {key: escape(str(value)) for key, value in description["info"].items()}
    content = "".join([*_endpoints(description), *_schemas(description)])
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(info, content=content)


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

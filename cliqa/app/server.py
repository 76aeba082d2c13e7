"""The server of the page: it listens, and ends cleanly at a signal."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import gradio as gr
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from cliqa.app.guard import LOOPBACK, Guard
from cliqa.app.page import build_page
from cliqa.app.parts import pulse
from cliqa.app.settings import Settings
from cliqa.app.theme import CSS, NAME_FIGURES, make_theme
from cliqa.engine.interrupts import stop_on_signals
from cliqa.utils.logging import get_logger
from cliqa.utils.system.ports import listening, web_address

logger = get_logger(__name__)

WAIT = 2
"""Seconds for which an ending server lets answers end; open pages wait for news for ever."""

UPLOADS = "GRADIO_TEMP_DIR"
"""The environment variable with the folder of uploads and of what the page shows."""

QUIET = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"}
"""Nothing is sent to anyone, and nothing is fetched."""

WAITING = 64
"""Events that wait for a free thread; more are refused."""

AT_ONCE = 4
"""Calls of one function at a time."""


class _CutOff(logging.Filter):
    """Drops what an ending server says of the pages that wait for news: it is no error."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is written."""
        error = record.exc_info[1] if record.exc_info else None
        ended = isinstance(error, asyncio.CancelledError)
        return not ended and "timeout graceful shutdown" not in str(record.msg)


def serve(settings: Settings, host: str, port: int, hosts: Sequence[str] = ()) -> None:
    """Serve the page until a signal comes.

    Args:
        settings: What the server shows.
        host: The address to listen at.
        port: The port; 0 for a free one.
        hosts: Further names by which the server may be called.

    Raises:
        ConfigError: The address or the port cannot be had.
        Interrupted: SIGINT or SIGTERM came.
    """
    with ExitStack() as stack:
        listener = stack.enter_context(listening(host, port))
        uploads = stack.enter_context(tempfile.TemporaryDirectory(prefix="cliqa-app-"))
        app = make_app(settings, Path(uploads), _names(host, hosts))
        at = web_address(host, listener.getsockname()[1])
        logger.info("the app is at %s (Ctrl-C ends it)", at)
        config = uvicorn.Config(
            app, log_config=None, access_log=False, timeout_graceful_shutdown=WAIT
        )
        logging.getLogger("uvicorn.error").addFilter(_CutOff())
        with stop_on_signals("the app has ended"):
            uvicorn.Server(config).run(sockets=[listener])


def make_app(settings: Settings, uploads: Path, hosts: Sequence[str] = ()) -> ASGIApp:
    """Return the app that is served.

    Args:
        settings: What it shows.
        uploads: An empty folder for uploads and for what the page shows.
        hosts: The names by which it may be called; none for any.
    """
    os.environ.update(QUIET)
    os.environ[UPLOADS] = str(uploads.resolve())  # each component takes it when it is made
    page = build_page(settings)
    with page:
        pulse()
    page.queue(max_size=WAITING, default_concurrency_limit=AT_ONCE, api_open=False)
    outer = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    gr.mount_gradio_app(
        outer,
        page,
        path="/",
        footer_links=[],
        run_history=False,
        allowed_paths=[],
        show_error=False,
        max_file_size=settings.max_upload_bytes,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=make_theme(),
        css_paths=[CSS],
        js=NAME_FIGURES,
    )
    # gradio looks where a file that a request names lies only in a page that was launched
    page.has_launched = True
    return Guard(outer, uploads, settings.max_upload_bytes, hosts)


def _names(host: str, more: Sequence[str]) -> list[str]:
    """Return the names by which a server may be called: any, if other machines reach it."""
    return [*LOOPBACK, *more] if host in LOOPBACK else list(more)

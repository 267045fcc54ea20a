"""`app`: models in the browser, on this machine alone.

Gradio is asked for no more than it must do: it sends nothing about its use, looks for no updates, offers no programs
access, and its pages load nothing from elsewhere (`viewing.app.guard`).
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from data.skipping import describe_skipped
from storage.ports import port_error
from storage.terminal import visible
from training.processes import describe_device
from training.progress import say_found
from viewing.app.examples import Example, find_examples, make_examples
from viewing.app.export import export_space
from viewing.app.jobs import Worker
from viewing.app.models import Models, load_models
from viewing.app.options import AppOptions
from viewing.app.sessions import Sessions
from viewing.app.uploads import LIMITS, private_cache

if TYPE_CHECKING:
    from fastapi import FastAPI

HOST = "127.0.0.1"
QUIET = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_SHARE": "False",
    "GRADIO_MCP_SERVER": "False",
    "GRADIO_RUN_HISTORY": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
"""Settings of the environment that keep Gradio from asking or telling anybody."""
MOST_WAITING = 50
"""Questions that wait, at most; who comes then is told to try again."""

LOOKS_EVERY = 0.02
"""Seconds between two looks of Gradio's queue for something to do. Its own, 0.001, keep taking the interpreter from the
thread that samples: an answer came 7 % later (medians of 6 presses in each of 4 servers, `benchmarks/app.py`)."""


def serve_app(options: AppOptions, address: str = HOST) -> None:
    """Show the app until the process is stopped, or export it.

    Args:
        options: of the app.
        address: at which it answers. At another than this machine's own it may have any name: an exported app alone has
            one, see `viewing.app.export`.

    Raises:
        CheckpointError: there is no such model, or it is damaged.
        MediaError: the input holds nothing usable.
        MismatchError: a GPT did not learn the tokens of its tokenizer.
        OSError: the port is taken.
        ValueError: Gradio is not installed, or bf16 is asked for where it is slow.
    """
    check_gradio()
    if options.export is not None:
        export_space(options)
        return
    with ExitStack() as at_the_end:
        server = at_the_end.enter_context(listen(options.port, address))
        folder = at_the_end.enter_context(private_cache())  # Gradio reads its name when it is imported
        models = load_models(options)
        examples = gather_examples(options, models, folder / "examples")
        _say_found(models, examples)
        worker = Worker(options.limit)
        at_the_end.callback(worker.close)
        port = server.getsockname()[1]
        hosts = (f"{HOST}:{port}", f"localhost:{port}") if address == HOST else None
        app = make_app(models, examples, Sessions(folder / "sessions"), worker, hosts)
        print(f"open http://{address}:{port}/ in a browser; Ctrl-C ends this", flush=True)
        run_server(app, server)


def check_gradio() -> None:
    """Refuse to begin without Gradio.

    Raises:
        ValueError: it is not installed.
    """
    if find_spec("gradio") is None:
        raise ValueError("the app needs the package gradio: pip install '.[app]' in the folder of Secondsight's source")


def listen(port: int, address: str = HOST) -> socket.socket:
    """Return a socket at an address of this machine that nobody else has.

    Raises:
        OSError: the port is taken, or not for this user.
    """
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # elsewhere it would let two programs have the port
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, port))
        server.listen()  # before models are loaded: until then another app would get the same port
    except OSError as error:
        server.close()
        raise port_error(port, error) from error
    return server


def gather_examples(options: AppOptions, models: Models, folder: Path) -> dict[str, list[Example]]:
    """Return what each pair can continue, by its name; clips of the playroom are rendered into a folder.

    Raises:
        MediaError: the input holds nothing usable.
    """
    found: dict[str, list[Example]] = {}
    for number, pair in enumerate(models.pairs):
        same = next((each for each in models.pairs[:number] if each.clip_format == pair.clip_format), None)
        if same is not None:
            found[pair.name] = found[same.name]
        elif options.input:
            found[pair.name], skipped = find_examples(options.input, options.items, pair.clip_format)
            if skipped:
                print(f"skipped: {visible(describe_skipped(skipped))}")
        else:
            found[pair.name] = make_examples(folder / str(number), pair.clip_format)
    return found


def make_app(
    models: Models,
    examples: Mapping[str, Sequence[Example]],
    sessions: Sessions,
    worker: Worker,
    hosts: Collection[str] | None,
) -> FastAPI:
    """Return the app, for a server.

    Args:
        models: that are asked.
        examples: by the name of each pair.
        sessions: of those who play.
        worker: the one thread that asks models.
        hosts: how the server may be called; None for any name.
    """
    os.environ.update(QUIET)
    import gradio as gr  # here, as it reads the environment and takes seconds
    from fastapi import FastAPI

    from viewing.app.guard import Guard
    from viewing.app.pages import STYLE, THEME, make_page

    page = make_page(models, examples, sessions, worker)
    page.queue(max_size=MOST_WAITING, api_open=False)
    page._queue.sleep_when_free = LOOKS_EVERY
    app = FastAPI(openapi_url=None)
    app.add_middleware(Guard, hosts=hosts)
    gr.mount_gradio_app(
        app,
        page,
        path="/",
        server_name=HOST,
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=LIMITS.bytes,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        enable_monitoring=False,
        theme=THEME,
        app_kwargs={"openapi_url": None},
        **STYLE,
    )
    return app


def run_server(app: FastAPI, server: socket.socket) -> None:
    """Answer until the process is told to end.

    Raises:
        KeyboardInterrupt: by Ctrl-C, when what is going on was let go.
        SystemExit: by SIGTERM, as containers are ended: nothing of the app's is left on the disk then either.
    """
    import uvicorn

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))

    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, server_header=False)
    uvicorn.Server(config).run(sockets=[server])


def _say_found(models: Models, examples: Mapping[str, Sequence[Example]]) -> None:
    sizes = {pair.name: f"{pair.gpt.config.describe()}; {pair.clip_format.describe()}" for pair in models.pairs}
    say_found(
        device=describe_device(models.device),
        **{f"model {name}": size for name, size in sizes.items()},
        precision=models.said or models.pairs[0].precision,
        examples=", ".join(str(len(each)) for each in examples.values()),
    )

"""What the events of all tabs have in common: how they wait, how that is shown, and how they are stopped."""

from __future__ import annotations

from typing import Any

import gradio as gr

from viewing.app.sessions import Sessions
from viewing.app.showing import said

QUICK: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
"""For events that are over before anybody could see that they have begun."""


def asking(status: gr.HTML) -> dict[str, Any]:
    """Return how events of the app wait that ask the models.

    Gradio keeps one queue of them, and shows people over `status` how many come before.
    """
    return {
        "concurrency_id": "models",
        "concurrency_limit": 1,
        "show_progress": "minimal",
        "show_progress_on": status,
        "api_visibility": "private",
    }


def stop_on_click(button: gr.Button, sessions: Sessions, status: gr.HTML, *events: Any) -> None:
    """Let a button stop what its page has asked last, also while that waits for others.

    Args:
        button: to be pressed.
        sessions: of those who play.
        status: says that it was stopped.
        events: of which one may wait or go on.
    """

    def stop(request: gr.Request) -> str:
        sessions.find(request.session_hash).stop()
        return said("Stopped.")

    button.click(stop, None, status, queue=False, cancels=[*events], **QUICK)

"""The app's page: its tabs, its style, and nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from markupsafe import escape

from viewing.app.completing import CompletionTab, completion_tab
from viewing.app.examples import Example
from viewing.app.jobs import Worker
from viewing.app.memory_tab import MemoryTab, memory_tab
from viewing.app.models import Models
from viewing.app.physics_tab import PhysicsTab, physics_tab
from viewing.app.sessions import Sessions

TITLE = "Secondsight"
THEME = gr.themes.Base(
    font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"], primary_hue=gr.themes.colors.blue
).set(
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_dark="*primary_700",
    button_primary_background_fill_hover_dark="*primary_600",
    body_text_color_subdued="*neutral_500",
)
"""Fonts of the machine itself; buttons dark enough for the white of their words, and small words dark enough."""
STYLE: dict[str, Any] = {
    "css": "".join(Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("app.css", "tabs.css")),
    "head": "".join(
        f"<script>{Path(__file__).with_name(name).read_text(encoding='utf-8')}</script>"
        for name in ("line.js", "radios.js")
    ),
}


def make_page(
    models: Models, examples: Mapping[str, Sequence[Example]], sessions: Sessions, worker: Worker
) -> gr.Blocks:
    """Return the page; see `viewing.app.serve.make_app`."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True) as page:
        names = " and ".join(pair.name for pair in models.pairs)
        gr.HTML(f"<h1>{escape(f'Secondsight: play with {names}')}</h1>")
        with gr.Tab("Continue"):
            completion_tab(CompletionTab(models, examples, sessions, worker))
        with gr.Tab("Remember"):
            memory_tab(MemoryTab(models, sessions, worker))
        with gr.Tab("Be surprised"):
            physics_tab(PhysicsTab(models, sessions, worker))

        def leave(request: gr.Request) -> None:
            sessions.end(request.session_hash)

        page.unload(leave)
    return page

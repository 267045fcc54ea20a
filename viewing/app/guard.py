"""What stands before Gradio: only this server's own pages may ask it, and they may ask nobody else."""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self'; form-action 'none'; "
    "base-uri 'self'; frame-ancestors 'none'"
)
"""What a browser lets the page do. Gradio's scripts make scripts; but nothing is loaded from, or sent to, elsewhere."""
SPACES = "https://huggingface.co"
"""Whose pages show an exported app in a frame."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class Guard:
    """Refuses requests under another name, by which pages of other servers could reach this one (DNS rebinding).

    What such pages send under its own name, as a form is sent, is refused too; of an exported app nothing is.

    Args:
        app: that answers what is not refused.
        hosts: how the server may be called; None for any name, and for pages of any server.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None) -> None:
        self.app = app
        self.hosts = hosts
        framed = POLICY if hosts is not None else POLICY.replace("frame-ancestors 'none'", f"frame-ancestors {SPACES}")
        self.headers = HEADERS | {"Content-Security-Policy": framed}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(Headers(scope=scope))
        if refusal:
            await PlainTextResponse(refusal, status_code=403)(scope, receive, send)
            return

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self.headers)
            await send(message)

        await self.app(scope, receive, send_with_policy)

    def _refusal(self, headers: Headers) -> str:
        """Return why a request is refused; empty if it is not."""
        if self.hosts is None:
            return ""
        names, origins = headers.getlist("host"), headers.getlist("origin")
        if len(names) != 1 or names[0] not in self.hosts:
            return "this server has another name"
        if not {f"http://{host}" for host in self.hosts}.issuperset(origins):
            return "only pages of this server may ask it"
        return ""

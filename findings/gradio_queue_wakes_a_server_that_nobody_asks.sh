#!/usr/bin/env bash
# Gradio 6.31: the queue of a server that nobody asks anything wakes it hundreds of times a second.
#
# Guess: where no event waits, the queue sleeps until one comes, so that a server without visitors costs next to nothing
# and a model that computes in a thread of it has the interpreter to itself.
# Behaviour: the queue's loop sleeps 0.001 s and looks again, for as long as the server runs, also while a single event is
# being worked on. Every look takes the interpreter's lock, which the thread of the model then waits for: with a small
# GPT on a CPU, sampled between other work of the page, an answer came 7 % later than with 0.02 s. Only on Windows is the
# sleep 0.05 s. It is kept in an attribute without documentation, and no option sets it.
# Output seen, Python 3.11 on Linux, two cores (each number is of 5 s without any request):
#     gradio 6.31.0, as it is:       531 wakes a second, 6.5 % of a core
#     gradio 6.31.0, 0.02 s instead: 104 wakes a second, 2.4 % of a core
# A way round: blocks.queue(); blocks._queue.sleep_when_free = 0.02.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check gradio==6.31.0

cat >"$folder/look.py" <<'PYTHON'
import os
import time
from pathlib import Path

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
import gradio as gr

SECONDS = 5


def wakes():
    """How often all threads of this process have gone to sleep of their own accord."""
    states = [Path(f"/proc/self/task/{thread}/status").read_text() for thread in os.listdir("/proc/self/task")]
    return sum(int(state.split("voluntary_ctxt_switches:")[1].split()[0]) for state in states)


found = []
for name, sleep in (("as it is:", None), ("0.02 s instead:", 0.02)):
    with gr.Blocks(analytics_enabled=False) as page:
        gr.Button("Nobody presses it").click(lambda: None)
    page.queue()
    if sleep is not None:
        page._queue.sleep_when_free = sleep
    page.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", ssr_mode=False)
    time.sleep(3)
    before, began = wakes(), time.process_time()
    time.sleep(SECONDS)
    found.append((wakes() - before) / SECONDS)
    share = (time.process_time() - began) / SECONDS
    print(f"gradio {gr.__version__}, {name:15} {found[-1]:.0f} wakes a second, {share:.1%} of a core")
    page.close(verbose=False)
assert found[0] > 300, found
assert found[0] > 3 * found[1], found
PYTHON
"$folder/venv/bin/python" "$folder/look.py"

"""Stopping when asked to: a signal sets a flag, all processes read it at the same step, save together and end.

Nothing is saved inside a signal handler, which may run in the middle of a step. Schedulers of clusters ask with
SIGTERM, SIGUSR1 or SIGUSR2 some time before they kill, people with SIGINT (Ctrl-C). A run that has saved ends with exit
code 0, and the job does not count as failed; whether to queue it again, a batch script knows from the signal that it
got itself (see slurm/), for launchers of several processes end with other codes however well those ended.
"""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any, NoReturn

import torch
import torch.distributed as dist

# Windows has no SIGUSR1 and SIGUSR2.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2") if hasattr(signal, name))


class Stopping:
    """Within this context the signals that ask a run to end only set a flag.

    The flag is agreed on through the CPU, at every step: that takes a fraction of a millisecond and never makes a
    GPU wait, while asking less often could use up the time that is left.
    """

    def __init__(self) -> None:
        self.received = 0
        """The signal that was received, 0 for none."""
        self.before: dict[int, Any] = {}
        self.group: Any = dist.new_group(backend="gloo") if dist.is_initialized() else None

    def __enter__(self) -> Stopping:
        if threading.current_thread() is threading.main_thread():  # others cannot set handlers
            self.before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def agreed(self) -> bool:
        """Return whether any process was asked to end; all of them must ask, once a step."""
        if self.group is not None:
            flag = torch.tensor(self.received)
            dist.all_reduce(flag, dist.ReduceOp.MAX, group=self.group)
            self.received = int(flag)
        return self.received > 0

    def leave(self, done: int, visible: bool) -> NoReturn:
        """End this process after `done` steps have been saved; `visible` is True on the process that says so."""
        if visible:
            name = signal.Signals(self.received).name
            print(f"Stopped by {name} after step {done}, which is saved: --resume auto continues", file=sys.stderr)
        raise SystemExit(0)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        if number == signal.SIGINT and self.group is None:
            # Who presses Ctrl-C twice does not want to wait. Launchers of several processes send it twice themselves.
            signal.signal(number, signal.default_int_handler)


def ignore_signals(worker: int) -> None:
    """Let a process that reads data live until the run it reads for has ended: a loader's `worker_init_fn`."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)

"""Programs that start at once: a process that has imported everything forks one for each call.

What is called is a real process with the folder, environment and output of its caller, which passes signals on and ends
as it does. If the caller is killed, so is the process. The launcher of several processes can start such calls, too.

    python -S forked_program.py SOCKET secondsight WORDS  stands for `secondsight WORDS`
    python -S forked_program.py SOCKET launch WORDS       stands for `accelerate launch WORDS`
    python -S forked_program.py SOCKET -c CODE WORDS      stands for `python -c CODE WORDS`
"""

import json
import multiprocessing
import os
import select
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType

SCRIPT = __file__
SIGNALS = (signal.SIGINT, signal.SIGTERM)
POLL = 0.01
"""Seconds between two looks at a process."""


@contextmanager
def forked_program(folder: Path) -> Iterator[Path]:
    """The path of a program that stands for `secondsight`, while this context lasts; beside it lies its `socket`."""
    place = folder / "socket"
    heard, told = multiprocessing.Pipe(duplex=False)
    # Where tests run, the fork server of `trainer.py` has imported everything already.
    server = multiprocessing.get_context("forkserver").Process(target=_serve, args=(str(place), told))
    server.start()
    try:
        told.close()
        assert heard.recv() == "listening"
        program = folder / "secondsight"
        words = f'"{sys.executable}" -S "{__file__}" "{place}" secondsight'
        program.write_text(f'#!/bin/bash\nexec {words} "$@"\n')
        program.chmod(0o755)
        yield program
    finally:
        server.terminate()
        server.join()


def _call(place: str, words: Sequence[str]) -> int:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(place)

        def pass_on(number: int, frame: FrameType | None) -> None:
            connection.send(bytes([number]))

        asked = json.dumps({"words": list(words), "folder": str(Path.cwd()), "environment": dict(os.environ)}).encode()
        socket.send_fds(connection, [len(asked).to_bytes(4, "big")], [1, 2])
        connection.sendall(asked)
        for number in SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:  # who was started deaf stays deaf
                signal.signal(number, pass_on)
        code = int.from_bytes(connection.recv(2), "big", signed=True)
        if code < 0:
            for number in SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), -code)
        return code


def _serve(place: str, told: Connection) -> None:
    import experiments.diversity.study
    import experiments.memory.experiment
    import experiments.memory.report
    import experiments.memory.sweep  # noqa: F401

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(place)
        listening.listen()
        told.send("listening")
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who carry out calls
        while True:
            connection, _ = listening.accept()
            with connection:
                if os.fork() == 0:
                    listening.close()
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    _carry_out(connection)
                    os._exit(0)


def _carry_out(connection: socket.socket) -> None:
    """Fork a process, pass signals on to it, and say how it ended."""
    length, output, *_ = socket.recv_fds(connection, 4, 2)
    if not length:
        return  # the caller was killed before it could ask
    asked = json.loads(connection.recv(int.from_bytes(length, "big"), socket.MSG_WAITALL))
    pid = os.fork()
    if pid == 0:
        _become(asked, output)
    for descriptor in output:
        os.close(descriptor)
    ended = 0
    while not ended:
        if select.select([connection], [], [], POLL)[0]:
            received = connection.recv(1)
            os.kill(pid, received[0] if received else signal.SIGKILL)
            if not received:
                os.waitpid(pid, 0)
                return
        ended, status = os.waitpid(pid, os.WNOHANG)
    connection.send(os.waitstatus_to_exitcode(status).to_bytes(2, "big", signed=True))


def _become(asked: dict[str, object], output: Sequence[int]) -> None:
    """Be the program that was called, and never return."""
    import torch
    from accelerate.commands import launch

    import secondsight

    # Ctrl-C may not reach who is forked by a server that readers of videos have started.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    os.chdir(str(asked["folder"]))
    os.environ.clear()
    os.environ.update(asked["environment"])  # type: ignore[call-overload]
    for own, given in zip((1, 2), output, strict=True):
        os.dup2(given, own)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    sys.argv = asked["words"]  # type: ignore[assignment]
    code: object = 1
    try:
        {"secondsight": secondsight.main, "launch": launch.main, "-c": _run_code}[sys.argv[0]]()
        code = 0
    except SystemExit as stop:
        code = stop.code or 0
        if isinstance(code, str):
            print(code, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def _run_code() -> None:
    exec(sys.argv.pop(1), {"__name__": "__main__"})


if __name__ == "__main__":
    sys.exit(_call(sys.argv[1], sys.argv[2:]))

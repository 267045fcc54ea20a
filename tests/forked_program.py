"""`secondsight` as a program that starts at once: a process that has imported everything forks one for each call.

What is called is a real process with the folder, environment and output of its caller, which passes signals on. If the
caller is killed, so is the process.

    python forked_program.py serve SOCKET           begins to listen, prints a line, and forks until it is ended
    python -S forked_program.py call SOCKET WORDS   stands for `secondsight WORDS`
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
POLL = 0.01
"""Seconds between two looks at a process."""


@contextmanager
def forked_program(folder: Path) -> Iterator[Path]:
    """The path of a program that stands for `secondsight`, while this context lasts."""
    place = folder / "socket"
    with subprocess.Popen([sys.executable, __file__, "serve", str(place)], stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == b"listening\n"
            program = folder / "secondsight"
            program.write_text(f'#!/bin/bash\nexec "{sys.executable}" -S "{__file__}" call "{place}" "$@"\n')
            program.chmod(0o755)
            yield program
        finally:
            server.terminate()


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
        return connection.recv(1)[0]


def _serve(place: str) -> None:
    import experiments.diversity.study
    import experiments.memory.experiment
    import experiments.memory.report
    import experiments.memory.sweep  # noqa: F401

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(place)
        listening.listen()
        print("listening", flush=True)
        while True:
            connection, _ = listening.accept()
            with connection:
                _carry_out(connection)


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
    code = os.waitstatus_to_exitcode(status)
    connection.send(bytes([code if code >= 0 else 128 - code]))


def _become(asked: dict[str, object], output: Sequence[int]) -> None:
    """Be `secondsight`, called so, and never return."""
    import secondsight

    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    os.chdir(str(asked["folder"]))
    os.environ.clear()
    os.environ.update(asked["environment"])  # type: ignore[call-overload]
    for own, given in zip((1, 2), output, strict=True):
        os.dup2(given, own)
    sys.argv = ["secondsight", *asked["words"]]  # type: ignore[misc]
    code: object = 1
    try:
        secondsight.main()
        code = 0
    except SystemExit as stop:
        code = stop.code or 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        _serve(sys.argv[2])
    else:
        sys.exit(_call(sys.argv[2], sys.argv[3:]))

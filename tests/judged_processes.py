"""Lets the judge of `benchmarks/damage` look at processes that do what no command may, and prints what it finds.

    python judged_processes.py FOLDER

It is a program of its own, because it forks, which a process that has threads should not.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from damage import attempts
from damage.attempts import Attempt, Whole
from damage.classes import Scenario
from damage.forks import Job, run_one


def behave() -> None:
    Path("out.txt").write_text("result")


def write_outside() -> None:
    behave()
    Path("../outside.txt").write_text("")


def fail_with_a_traceback() -> None:
    raise KeyError("weights")


def give_another_result() -> None:
    Path("out.txt").write_text("other")


def give_another_result_and_say_so() -> None:
    print("1 file is damaged and was left out", file=sys.stderr)
    give_another_result()


def run_a_program() -> None:
    behave()
    subprocess.run(["true"], check=True)


def ask_the_network() -> None:
    import socket

    socket.getaddrinfo("example.org", 80)


def wait_for_ever() -> None:
    while True:
        pass


def refuse() -> None:
    print("secondsight: x.json is damaged: copy it again", file=sys.stderr)
    sys.exit(1)


def refuse_with_another_code() -> None:
    print("secondsight: x.json is damaged: copy it again", file=sys.stderr)
    sys.exit(3)


def refuse_in_many_words() -> None:
    print("secondsight: x.json is damaged:\ncopy it again", file=sys.stderr)
    sys.exit(1)


def leave_something_unfinished() -> None:
    Path("out.txt.tmp").write_text("")
    refuse()


def nothing(*_: object) -> None:
    raise AssertionError("not called")


SCENARIO = Scenario((), {}, nothing, ("out.txt",), seconds=2.0)  # type: ignore[arg-type]
STUBS = (
    behave,
    write_outside,
    fail_with_a_traceback,
    give_another_result,
    give_another_result_and_say_so,
    run_a_program,
    ask_the_network,
    wait_for_ever,
    refuse,
    refuse_with_another_code,
    refuse_in_many_words,
    leave_something_unfinished,
)


def judge(stub: Callable[[], None], folder: Path, whole: Whole | None) -> list[str]:
    """Return the kinds of fault that are found."""
    attempt = Attempt("stub", 0)
    outcome = run_one(Job(folder, stub, seconds=SCENARIO.seconds))
    attempts._judge_process(attempt, SCENARIO, outcome, folder)
    if outcome.code == 0:
        attempts._judge_result(attempt, SCENARIO, whole, outcome, folder, free=False)
    elif not outcome.late:
        attempts._judge_refusal(attempt, SCENARIO, outcome, folder, set())
    return sorted({kind for kind, _ in attempt.faults})


def main(root: Path) -> None:
    outcome = run_one(Job(root / "whole", behave))
    whole = Whole(attempts._results(SCENARIO, root / "whole", outcome), frozenset())
    print(json.dumps({stub.__name__: judge(stub, root / stub.__name__, whole) for stub in STUBS}))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())

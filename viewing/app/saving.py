"""Answers as files: what `complete` writes of the same question, in one archive, with the command that makes them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

from sampling.complete import write_completions
from storage.command import command_line
from viewing.app.asking import Answer

AGAIN = Path("again")
"""Folder that the recorded command writes into, beside what it makes again."""


def save_answers(answers: Sequence[Answer], folder: Path) -> Path:
    """Write an archive of answers into a folder, and return it; an archive of before is replaced.

    It holds a folder for each model with the files of `complete`, `sample.json` among them, whose command makes the
    same tokens again where the archive was unpacked; and in `input` what was uploaded.

    Raises:
        MediaError: the example cannot be read any more.
        OSError: there is no room.
    """
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / f"secondsight_{answers[0].question.seed}.zip"
    with tempfile.TemporaryDirectory(dir=folder) as made, ZipFile(archive, "w", ZIP_STORED) as written:
        for number, answer in enumerate(answers, start=1):
            name = "completions" if len(answers) == 1 else f"completions_{number}"
            _write(answer, Path(made) / name)
        _add_input(answers[0], Path(made))
        for path in sorted(Path(made).rglob("*")):
            written.write(path, path.relative_to(made))
    return archive


def command_of(answer: Answer) -> str:
    """Return the command that makes the same tokens again."""
    return command_line(answer.question.options(answer.pair, AGAIN))


def _write(answer: Answer, out: Path) -> None:
    options = answer.question.options(answer.pair, AGAIN)
    write_completions(answer.work, options, out, answer.clips, answer.sampled, answer.counts)


def _add_input(answer: Answer, folder: Path) -> None:
    """Put the file into `input` that nobody else has, under the name by which the command knows it."""
    example = answer.question.example
    if example.file is not None:
        (folder / example.inputs[0]).parent.mkdir()
        shutil.copyfile(example.file, folder / example.inputs[0])

"""Carry out a diversity study as jobs of Slurm that are interrupted five times, and compare with one left alone.

    python benchmarks/rehearse_slurm.py
    python benchmarks/rehearse_slurm.py --keep rehearsal

The jobs are those of `diversity study --slurm`; Slurm is a small one (tests/small_slurm.py), whose jobs are real
processes. They are told that their time is up, are preempted, and lose their node, each whenever they have saved
something new. It ends with code 1 unless all jobs end well and all tables and pages are the same, byte for byte.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import tyro

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from forked_program import forked_program
from slurm_rehearsal import check_same, logs, rehearse
from tiny import IMAGE, SHORT, make_tokenizer, make_videos

STUDY = (
    "--videos videos --layers 1 --heads 2 --width 16 --steps 20 --gpt-batch 2 --training-items 4 --checkpoints 0.5 "
    "--n 2 --items 2 --perceptual none --features none --clip-tokenizer clip --image-tokenizer image"
)
SAVED = ("*/gpt_*/checkpoints/*", "runs/*/continuations/*/*/*.npz")
"""Files of a study whose appearance means that something was saved."""


def main(keep: Path | None = None) -> None:
    """Rehearse a study.

    Args:
        keep: folder, which is made, for all that is written; by default a temporary one that is removed.
    """
    if keep is None:
        with tempfile.TemporaryDirectory() as folder:
            _rehearse_study(Path(folder))
    else:
        keep.mkdir(parents=True)
        _rehearse_study(keep.absolute())


def _rehearse_study(folder: Path) -> None:
    (folder / "program").mkdir()
    with forked_program(folder / "program") as program:
        slurm = rehearse(program, folder, f"diversity study {STUDY}", _make_material, *SAVED)
    if {job.state for job in slurm.jobs} != {"COMPLETED"}:
        sys.exit(logs(slurm))
    check_same(folder)
    starts = sum(job.starts for job in slurm.jobs)
    print(f"{len(slurm.jobs)} jobs, started {starts} times: the same tables and pages, byte for byte")


def _make_material(folder: Path) -> None:
    """Make videos, a tokenizer of clips and one of images."""
    make_videos(folder / "videos", 20, size=16)
    make_tokenizer(SHORT).save_pretrained(folder / "clip")
    make_tokenizer(IMAGE).save_pretrained(folder / "image")


if __name__ == "__main__":
    tyro.cli(main)

"""Tiny models for the app, saved and loaded."""

from dataclasses import replace
from pathlib import Path

from tiny import GPT_SHORT, make_gpt, make_tokenizer

from viewing.app.models import Models, load_models
from viewing.app.options import AppOptions
from vqgan.config import VQGANConfig


def save_pair(folder: Path, config: VQGANConfig, seed: int = 0) -> tuple[Path, Path]:
    """Save a GPT and its tokenizer, and return their folders."""
    tokenizer = make_tokenizer(config)
    tokenizer.save_pretrained(folder / "tokenizer")
    grid = tokenizer.grid(config.frames, 16, 16)
    make_gpt(replace(GPT_SHORT, grid=grid, tokenizer=tokenizer.fingerprint), seed).save_pretrained(folder / "gpt")
    return folder / "gpt", folder / "tokenizer"


def make_models(folder: Path, config: VQGANConfig, seed: int = 0) -> Models:
    """The models of an app with one pair; the precision is the same on all machines."""
    gpt, tokenizer = save_pair(folder, config, seed)
    return load_models(AppOptions(gpt=(gpt,), tokenizer=(tokenizer,), sampling_precision="fp32"))

"""Checkpoints that other programs wrote, read as data: nothing they hold is ever called."""

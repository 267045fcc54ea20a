"""Shared leaves of every training loop: data order, schedule, run folder, checkpoint and resume."""

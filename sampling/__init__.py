"""Continuing token grids, and turning them into pictures and films."""

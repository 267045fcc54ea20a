"""Continuing token grids, and turning them into images and videos."""

"""Anybody's model sits the memory test: observers that study images and say how familiar they find others."""

"""Stimulus lists of recognition experiments: made, read, checked."""

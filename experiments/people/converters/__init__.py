"""Exports of experiment programs, made into the table of people's responses."""

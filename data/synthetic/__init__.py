"""Synthetic clips and stills with the statistics of natural ones, for tokenizers that must work on any footage."""

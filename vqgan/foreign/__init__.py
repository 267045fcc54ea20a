"""Tokenizers of other programs: their architectures, and their weights translated."""

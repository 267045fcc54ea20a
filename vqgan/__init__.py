"""Tokenizers: the causal VQGAN and the colour palette; training, encoding, evaluation."""

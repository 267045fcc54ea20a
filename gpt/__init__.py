"""The transformer over token grids: config, model, training, evaluation."""

"""Whether a model knows what cannot happen: its surprise at matched possible and impossible films."""

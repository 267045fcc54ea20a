"""How faithful reconstructions are: in pixels, in what networks see, over whole sets."""

"""The one error that a film or picture raises when it cannot be used."""


class MediaError(ValueError):
    """A file that cannot be used; its message says what is wrong with it and what to do."""

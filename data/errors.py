"""What can be wrong with data that somebody else made."""


class MediaError(ValueError):
    """A video or image that cannot be used; its message says what is wrong with it and what to do."""


class TokenStoreError(ValueError):
    """A token store is missing, damaged or of another kind than asked for."""


class StimulusError(ValueError):
    """A stimulus list is not what a recognition experiment needs; the message lists the files."""

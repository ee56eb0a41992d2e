"""What libpi0 raises when something that it was given cannot be used: one sentence each."""


class Error(Exception):
    """Any of them. The sentence names what was wrong, what was found, and what was expected."""


class InvalidCheckpointError(Error, ValueError):
    """A file of the checkpoint is absent, damaged, or contradicts another."""


class InvalidInputError(Error, ValueError):
    """An observation or an option that does not fit."""


class IoError(Error, OSError):
    """A file that cannot be read or written."""


class UnsupportedError(Error, NotImplementedError):
    """Understood, but not offered here: a device, a feature of a checkpoint."""


class OutOfMemoryError(Error, MemoryError):
    """What it would take is more than the machine has."""


class LimitError(Error):
    """The chunk is over a limit of real-time chunking that the caller set."""


class ServerError(Error, ConnectionError):
    """No answer in time, from a server that is away, busy or broken."""


class NotFiniteError(Error, ArithmeticError):
    """The network computed NaN or infinity: its weights overflow."""

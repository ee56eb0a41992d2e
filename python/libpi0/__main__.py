"""``python -m libpi0 …`` and ``pi0 …``: the command, in place of this process."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

__all__ = ["main"]


def main() -> None:
    """Becomes the command: its exit status, its streams, its signals."""
    command = Path(__file__).with_name("bin") / "pi0"
    # Python ignores these two, and what is ignored stays so in what it becomes.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        os.execv(command, ["pi0", *sys.argv[1:]])
    except OSError as error:
        print(
            f"pi0: {command}: {error.strerror}; expected the command, which the wheel has",
            file=sys.stderr,
        )
        sys.exit(2)


if __name__ == "__main__":
    main()

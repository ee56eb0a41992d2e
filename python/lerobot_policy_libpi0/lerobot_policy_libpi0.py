"""What lerobot imports by its name, so that it knows the policy type "libpi0"."""

import libpi0.lerobot  # noqa: F401

"""Where in a chunk lerobot's queue is."""

from __future__ import annotations

from typing import Any

import numpy as np

import libpi0

Rows = np.ndarray[Any, Any]


def rows_gone_by(chunk: Rows, left_over: Rows) -> int:
    """How many rows of ``chunk`` [horizon, dims] come before ``left_over`` [rows, dims].

    lerobot says what is left of a chunk, not how much is gone; cuts that at the execution horizon,
    and fills it up with zeros. So the rows are looked for: libpi0 has them as the network gave
    them. Where none is left, all of the chunk has gone by.

    Raises:
        libpi0.InvalidInputError: they are not in it.
    """
    rows = left_over.reshape(-1, left_over.shape[-1])
    if rows.shape[1] == chunk.shape[1]:
        filled = np.concatenate([chunk, np.zeros_like(rows)])
        for gone in range(len(chunk) + 1):
            if np.array_equal(filled[gone : gone + len(rows)], rows):
                return gone if len(rows) else len(chunk)
    raise libpi0.InvalidInputError(
        f"prev_chunk_left_over {list(left_over.shape)} is no part of the last chunk "
        f"{list(chunk.shape)} that this policy gave"
    )

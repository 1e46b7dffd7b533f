"""Cutting an export into chunks: from the data alone, never from the workers."""

ROW_COST_BYTES = 32
"""What a row costs before its values: a timestamp and its line end."""

VALUE_COST_BYTES = 8
"""What a planned column costs in a row; 8.5 bytes of CSV text were measured."""

MAX_CHUNK_COST_BYTES = 8 * 1024 * 1024
"""Most that a chunk may cost: about a million values, the size at which cutting
costs nothing measurable and memory stays far below 200 MB a worker."""

MAX_CHUNK_FILES = 1_000
"""Most things in one chunk, so that a fleet of idle things is cut as well."""


def row_cost_bytes(rows: int, columns: int, text_bytes: int) -> int:
    """Estimate what rows cost in memory: about the size of their CSV text."""
    return rows * (ROW_COST_BYTES + columns * VALUE_COST_BYTES) + text_bytes

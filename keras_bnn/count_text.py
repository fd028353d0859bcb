"""Counts for people."""

from __future__ import annotations


def short_count(count: int) -> str:
    """Returns a count of three digits or more; nothing for 0.

    Example:

    >>> short_count(14_479_360), short_count(1_210 * 10**9), short_count(999), short_count(0)
    ('14.5 M', '1.21 T', '999', '')
    """
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= 0.9995 * size:
            value = count / size
            return f"{value:.{max(0, 3 - len(str(int(value))))}f} {unit}"
    return str(count) if count else ""

"""Text from files that others made, for a terminal."""

from __future__ import annotations


def printable(text: object, keep: str = "\n") -> str:
    """Returns the text with escapes in place of characters that a terminal would obey.

    Args:
        text: The text, or what becomes one.
        keep: Those that may stay.
    """
    return "".join(
        one if one.isprintable() or one in keep else one.encode("unicode_escape").decode() for one in str(text)
    )

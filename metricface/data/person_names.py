"""Names of people, where one name can be spelt in two ways."""

from __future__ import annotations

import unicodedata


def composed(name: str) -> str:
    """Return a name with each accent in its letter: macOS may write them apart."""
    return unicodedata.normalize("NFC", name)

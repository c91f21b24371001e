"""Addresses of cameras and servers, which may contain a password."""

import re


def mask(text: str) -> str:
    """Mask user, password and query of an address."""
    return re.sub(r"\?\S+", "?***", re.sub(r"://\S*@", "://***@", text))

"""Addresses of cameras and servers, which may hold a password."""

import re


def mask(text: str) -> str:
    """An address without what is secret in it: user, password and query."""
    return re.sub(r"\?\S+", "?***", re.sub(r"://\S*@", "://***@", text))

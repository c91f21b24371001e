"""The pages of the documentation, and what they show."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


def blocks(page, language="[a-z]*"):
    """The contents of a page's fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def commands(page):
    """The arguments of each `irvis ...` in a page's code; a line that ends with `\\` goes on."""
    text = page.read_text()
    indented = re.findall(r"^    .*$", text, re.MULTILINE)
    code = "\n".join((*blocks(page), *indented)).replace("\\\n", " ")
    lines = re.findall(r"^(?:\$ |    )?irvis ([a-z]+(?: .*)?)$", code, re.MULTILINE)
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    lines += re.findall(r"`irvis ([a-z]+ [^`]+)`", re.sub(r"\n *", " ", prose))
    return [shlex.split(line, comments=True) for line in lines if "..." not in line]

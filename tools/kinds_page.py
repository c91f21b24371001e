"""A hook of MkDocs that writes the settings of all kinds and sections into docs/kinds.md.

They come from the same place as the output of `irvis kinds`.
"""

import re
from collections.abc import Iterator, Sequence

from pipeline.config.components import FOLDERS, kinds
from pipeline.config.described import SECTIONS, Setting, meaning, settings

MARK = "<!-- the settings of all kinds and sections -->"


def on_page_markdown(markdown: str, **_: object) -> str:
    """Replace the mark in a page by the tables."""
    return markdown.replace(MARK, "\n".join(tables())) if MARK in markdown else markdown


def tables() -> Iterator[str]:
    """The lines of all tables, with a heading for each part and kind."""
    for part in FOLDERS:
        yield f"## {part}\n"
        for kind in kinds(part):
            yield f"### {kind} {{ #{part}-{kind} }}\n"
            yield f"{meaning(part, kind)}.\n"
            yield from _table(settings(part, kind))
    for section in SECTIONS:
        yield f"## {section}\n"
        yield f"{meaning(section)}.\n"
        yield from _table(settings(section))


def _table(rows: Sequence[Setting]) -> Iterator[str]:
    if not rows:
        yield "It has no settings.\n"
        return
    yield "| setting | type | default | meaning |"
    yield "|---|---|---|---|"
    for row in rows:
        default = row.default if row.default == "required" else f"`{row.default}`"
        yield f"| `{row.name}` | {_cell(row.type)} | {default} | {_cell(row.meaning)} |"
    yield ""


def _cell(text: str) -> str:
    """A text that Markdown shows as it stands, but for code in backticks."""
    parts = text.split("`")
    parts[::2] = [
        re.sub(r"([\\|*_\[\]])", r"\\\1", part).replace("<", "&lt;") for part in parts[::2]
    ]
    return "`".join(parts)

"""The tables of `irvis show` by name."""

from eval.report.tables import sections


def tables(results):
    """The sections by their title's beginning."""
    names = {
        "How well": "scores",
        "COCO AP by": "sizes",
        "What fusion did for each labelled object, all": "at confidence",
        "What fusion did for each labelled object, each": "at false positives",
        "What a user": "points",
        "What errors": "errors",
        "What objects": "confusion",
        "Quality": "quality",
        "Do better": "correlation",
    }
    return {
        next(name for start, name in names.items() if section.title.startswith(start)): section
        for section in sections(results)
    }


def rows(section, words=2):
    """The cells by what the row is about."""
    found = {tuple(row[:words]): list(row[words:]) for row in section.rows}
    assert len(found) == len(section.rows)
    assert {len(row) for row in section.rows} == {len(section.columns)}
    return found

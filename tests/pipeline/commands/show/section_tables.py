"""The tables of `irvis show` by name."""

from eval.report.tables import sections


def tables(results):
    """The sections by their title's beginning."""
    names = {
        "Detection": "scores",
        "COCO AP by": "sizes",
        "Outcomes of labelled objects, all": "at confidence",
        "Outcomes of labelled objects, each": "at false positives",
        "Operating": "points",
        "Errors": "errors",
        "Confusion": "confusion",
        "Image quality": "quality",
        "Rank correlation": "correlation",
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

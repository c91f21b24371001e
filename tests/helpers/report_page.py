"""A report's page as a test reads it."""

from html.parser import HTMLParser

WITH_REPORT = {"sinks": {"results": {"kind": "results"}, "report": {"kind": "report"}}}


class Page(HTMLParser):
    """Tags with their attributes, and all text outside of style and script."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self._in = [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("style", "script"):
            self._in.append(tag)

    def handle_endtag(self, tag):
        if self._in and self._in[-1] == tag:
            self._in.pop()

    def handle_data(self, data):
        if not self._in:
            self.text += f" {data}"

    def values(self, tag, name):
        return [attrs[name] for t, attrs in self.tags if t == tag and name in attrs]


def page(folder):
    return (folder / "report.html").read_text()


def words(text):
    return " ".join(Page(text).text.split())

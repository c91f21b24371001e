"""The documentation's site is complete, and works without a network."""

import re
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

import irvis
from pipeline.config.components import FOLDERS, kinds
from pipeline.config.described import SECTIONS, settings
from tests.docs.pages import ROOT
from tools import kinds_page

pytestmark = pytest.mark.slow

LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Built as by `make docs`: a warning, such as a link to nowhere, is an error."""
    folder = tmp_path_factory.mktemp("site")
    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder))
    assert config.strict
    config.plugins.run_event("startup", command="build", dirty=False)
    build(config)
    return folder


class Elements(HTMLParser):
    """What a page loads and links, its headings' ids, and its text."""

    def __init__(self, path):
        super().__init__()
        self.loaded, self.linked, self.ids, self.text = [], [], set(), ""
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.ids.add(values.get("id"))
        if tag in LOADED and LOADED[tag] in values:
            self.loaded.append(values[LOADED[tag]])
        if tag == "a" and "href" in values:
            self.linked.append(values["href"])

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def pages(site):
    return {path: Elements(path) for path in sorted(site.glob("*.html"))}


def test_every_page_is_in_the_navigation(site, pages):
    sources = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert {path.stem for path in pages} == sources | {"404"}
    linked = {link.partition("#")[0] for link in pages[site / "index.html"].linked}
    assert linked >= {f"{name}.html" for name in sources - {"index"}}


def test_nothing_is_loaded_from_elsewhere_and_nothing_is_missing(site, pages):
    for path, page in pages.items():
        for target in page.loaded:
            assert not re.match(r"(https?:)?//", target), (path.name, target)
            file = target.partition("?")[0].partition("#")[0]
            base = site if path.stem == "404" else path.parent  # 404's are absolute
            assert (base / unquote(file).lstrip("/")).exists(), (path.name, target)
    for style in site.rglob("*.css"):
        assert not re.findall(r"url\(\s*['\"]?(?:https?:)?//|@import", style.read_text()), style


def test_links_between_pages_lead_to_a_heading(pages):
    by_name = {path.name: page for path, page in pages.items()}
    for name, page in by_name.items():
        for link in page.linked:
            target, _, anchor = link.partition("#")
            if (target or name) in by_name and anchor:
                assert unquote(anchor) in by_name[target or name].ids, (name, link)


def test_every_kind_has_all_its_settings(site, pages):
    page = pages[site / "kinds.html"]
    lines = "\n".join(kinds_page.tables())
    for part in FOLDERS:
        for kind in kinds(part):
            assert f"{part}-{kind}" in page.ids
            for setting in settings(part, kind):
                assert f"| `{setting.name}` |" in lines
                assert setting.meaning.replace("`", "") in page.text
    for section in SECTIONS:
        assert section in page.ids
    assert kinds_page.MARK not in page.text


def test_every_name_of_the_api_is_described(site, pages):
    ids = pages[site / "api.html"].ids
    text = pages[site / "api.html"].text
    assert len(irvis.__all__) > 20
    for name in irvis.__all__:
        assert ids & {f"irvis.{name}", f"irvis.runs.{name}_run"}, name
    assert "uint8 (H, W, 3)" in text


def test_a_cell_shows_its_text_as_it_stands():
    assert kinds_page._cell("a|b_c <x> *d* [e] `f|g_<h>`") == (
        r"a\|b\_c &lt;x> \*d\* \[e\] `f|g_<h>`"
    )


def test_pages_name_files_that_exist():
    """Files of the repository in backticks."""
    pattern = re.compile(
        r"`((?:benchmarks|common|configs|eval|examples|fusion|tools)/[\w/]+\.\w+)`"
    )
    found = 0
    for page in (ROOT / "docs").glob("*.md"):
        for name in pattern.findall(page.read_text()):
            found += 1
            assert (ROOT / name).is_file(), (page.name, name)
    assert found > 10


def test_weight_cards_and_the_readme_link_pages_that_exist():
    for page in (ROOT / "README.md", *(ROOT / "fusion" / "weights").glob("*.md")):
        for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert link.startswith("http") or (page.parent / link).exists(), (page.name, link)

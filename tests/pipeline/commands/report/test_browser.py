"""The page in a real browser: headless Chromium, driven by selenium.

Skipped where there is no Chromium; `.ci/run` installs it. IRVIS_SCREENSHOTS=FOLDER keeps pictures
of every width and theme.
"""

import itertools
import os
import shutil
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from pipeline.commands import report
from tests.helpers import toys
from tests.helpers.runs import execute

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
SINKS = {"results": {"kind": "results"}, "report": {"kind": "report"}}
WIDTHS = {"phone": 390, "tablet": 820, "desktop": 1280}

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not (BROWSER and DRIVER),
        reason="needs Chromium: apt-get install chromium chromium-driver",
    ),
]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A labelled run with a hostile key, one without labels, one with infrared's own labels."""
    folder = tmp_path_factory.mktemp("pages")
    root = toys.write_pairs(folder / "pairs", 8)
    for kind, suffix in (("ir", "png"), ("vi", "png"), ("labels", "txt")):
        path = root / kind / f"003.{suffix}"
        path.rename(path.with_name(f"<img src=x onerror=alert(1)>'\"\n🚗.{suffix}"))
    labelled = toys.settings(root, sinks=SINKS)
    labelled["run"]["dir"] = str(folder / "labelled")
    labelled["arms"]["average"] = {"kind": "average"}
    bare = toys.settings(root, sinks=SINKS)
    bare["run"]["dir"] = str(folder / "bare")
    bare["source"] = {"kind": "image_folder", "ir": str(root / "ir"), "vis": str(root / "vi")}
    (folder / "labels_ir").mkdir()
    (folder / "labels_ir" / "000.txt").write_text("0 0.2 0.5 0.1 0.1\n0 0.7 0.5 0.1 0.1\n")
    own = toys.settings(root, sinks=SINKS)
    own["run"]["dir"] = str(folder / "own")
    mine = {"labels": str(root / "labels"), "labels_ir": str(folder / "labels_ir")}
    own["source"] = {**bare["source"], **mine}
    for settings in (labelled, bare, own):
        execute(settings)
    both = report.report([folder / "labelled", folder / "bare"], folder / "both.html")
    return {
        "labelled": folder / "labelled" / "report.html",
        "bare": folder / "bare" / "report.html",
        "own": folder / "own" / "report.html",
        "both": both,
    }


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for argument in ("--headless=new", "--no-sandbox", "--hide-scrollbars", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


def shape(browser, width, theme, height=900):
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = [{"name": "prefers-color-scheme", "value": theme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})


def look(browser, path, width=1280, theme="light"):
    shape(browser, width, theme)
    browser.get(path.as_uri())


@pytest.fixture
def page(browser, pages):
    look(browser, pages["labelled"])
    return browser


def shown(page):
    return [
        card for card in page.find_elements(By.CSS_SELECTOR, ".gallery > li") if card.is_displayed()
    ]


def choose(page, name, value):
    """A filter of the gallery."""
    Select(page.find_element(By.CSS_SELECTOR, f".filtered select[name={name}]")).select_by_value(
        value
    )


def select(page, name, text):
    """What the viewer shows."""
    found = page.find_element(By.CSS_SELECTOR, f".viewer select[name={name}]")
    Select(found).select_by_visible_text(text)


def boxes(page, kind):
    return len(page.find_elements(By.CSS_SELECTOR, f".stage svg .{kind}"))


@pytest.mark.parametrize("name", ["labelled", "bare", "both"])
def test_no_error_no_request_and_no_overflow(browser, pages, name):
    browser.get_log("performance")
    look(browser, pages[name])
    for theme, (size, width) in itertools.product(("light", "dark"), WIDTHS.items()):
        shape(browser, width, theme)
        overflow = "return document.documentElement.scrollWidth"
        assert browser.execute_script(overflow) <= width, (size, theme)
        background = "return getComputedStyle(document.body).backgroundColor"
        white = browser.execute_script(background) == "rgb(255, 255, 255)"
        assert white == (theme == "light"), size
        if folder := os.environ.get("IRVIS_SCREENSHOTS"):
            height = browser.execute_script("return document.documentElement.scrollHeight")
            shape(browser, width, theme, height)
            browser.save_screenshot(str(Path(folder) / f"{name}-{size}-{theme}.png"))
    assert browser.get_log("browser") == []
    sent = [
        entry["message"]
        for entry in browser.get_log("performance")
        if '"Network.requestWillBeSent"' in entry["message"]
    ]
    asked = [message for message in sent if '"url":"data:' not in message]
    assert all(pages[name].as_uri() in message for message in asked)


def test_the_verdict_is_on_the_first_screen(page):
    verdict = page.find_element(By.CSS_SELECTOR, ".verdict")
    assert verdict.rect["y"] + verdict.rect["height"] < 500
    assert "mAP@.5:.95" in verdict.text
    assert "8 of 8 pairs, 8 of 8 objects" in verdict.text


def test_filters(page):
    assert len(shown(page)) == 4  # VIS misses every other person
    choose(page, "outcome", "kept_ir")
    choose(page, "arm", "fused")
    assert len(shown(page)) == 4  # the maximum shows what is bright in IR
    found = [c for card in shown(page) for c in card.find_elements(By.CSS_SELECTOR, ".chip")]
    assert [chip.text for chip in found if chip.is_displayed()] == ["fused: kept IR"] * 4
    choose(page, "arm", "average")  # too dark for the detector
    assert len(shown(page)) == 0
    choose(page, "outcome", "lost_ir")
    assert len(shown(page)) == 4
    output = page.find_element(By.CSS_SELECTOR, ".filtered output")
    assert output.text == "4 of 4 crops shown"
    choose(page, "outcome", "missed_by_all")
    assert output.text == "0 of 4 crops shown"
    page.find_element(By.CSS_SELECTOR, ".filtered button[type=reset]").click()
    page.execute_async_script("setTimeout(arguments[0], 20)")
    assert len(shown(page)) == 4


def test_the_slider_wipes(page):
    slider = page.find_element(By.CSS_SELECTOR, ".viewer input[type=range]")
    stage = page.find_element(By.CSS_SELECTOR, ".stage")
    assert "--cut: 50%" in stage.get_attribute("style")
    slider.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert "--cut: 52%" in stage.get_attribute("style")
    line = page.find_element(By.CSS_SELECTOR, ".stage .line")
    share = (line.rect["x"] + 1 - stage.rect["x"]) / stage.rect["width"]
    assert share == pytest.approx(0.52, abs=0.01)
    clip = page.execute_script(
        "return getComputedStyle(document.querySelector('.stage .over')).clipPath"
    )
    assert "52%" in clip


def test_dragging_over_the_image_wipes(page):
    stage = page.find_element(By.CSS_SELECTOR, ".stage")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", stage)
    webdriver.ActionChains(page).move_to_element(stage).click_and_hold().move_by_offset(
        int(stage.rect["width"] / 4), 0
    ).release().perform()
    slider = page.find_element(By.CSS_SELECTOR, ".viewer input[type=range]")
    assert int(slider.get_attribute("value")) == pytest.approx(75, abs=2)


def test_moments_images_and_boxes_are_chosen(page):
    caption = page.find_element(By.CSS_SELECTOR, ".viewer output")
    assert caption.text == "000: fused finds 1"
    assert (boxes(page, "truth"), boxes(page, "box")) == (1, 1)
    select(page, "boxes", "average")
    assert (boxes(page, "truth"), boxes(page, "box")) == (1, 1)  # bright in both: it finds it
    page.find_element(By.CSS_SELECTOR, ".viewer input[name=truth]").click()
    assert boxes(page, "truth") == 0
    before = page.find_element(By.CSS_SELECTOR, ".stage > img").get_attribute("src")
    select(page, "boxes", "vis")
    second = page.find_elements(By.CSS_SELECTOR, ".moments button")[1]
    second.send_keys(Keys.ENTER)
    assert second.get_attribute("aria-pressed") == "true"
    assert caption.text == "001: vis finds 0"
    assert page.find_element(By.CSS_SELECTOR, ".stage > img").get_attribute("src") != before
    select(page, "left", "vis")
    assert page.find_element(By.CSS_SELECTOR, ".tag.left").text == "vis"


def test_the_chosen_arm_brings_the_labels_that_it_is_scored_on(browser, pages):
    look(browser, pages["own"])
    assert boxes(browser, "truth") == 1
    select(browser, "boxes", "ir")
    assert boxes(browser, "truth") == 2
    select(browser, "boxes", "late")
    assert boxes(browser, "truth") == 1


def test_the_theme_can_be_changed(page):
    background = "return getComputedStyle(document.body).backgroundColor"
    before = page.execute_script(background)
    page.find_element(By.ID, "theme").click()
    assert page.execute_script(background) != before
    page.find_element(By.ID, "theme").click()
    assert page.execute_script(background) == before


def test_everything_can_be_reached_by_keyboard_and_has_a_name(page):
    page.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert page.switch_to.active_element.text == "Skip to the content"
    nameless = page.execute_script(
        """
        const named = (e) =>
            e.textContent.trim() || e.getAttribute("aria-label") || (e.labels && e.labels.length);
        return [...document.querySelectorAll("button, select, input, a, svg[role=img]")]
            .filter((e) => !named(e)).map((e) => e.outerHTML.slice(0, 80));
        """
    )
    assert nameless == []
    without_alt = "return [...document.images].filter((i) => !i.alt).length"
    assert page.execute_script(without_alt) == 0
    twice = """
        const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
        return ids.filter((id, place) => ids.indexOf(id) !== place);
    """
    assert page.execute_script(twice) == []


def test_text_can_be_read_on_its_ground(browser, pages):
    """WCAG's contrast of at least 4.5 for the words of the first screen, in both themes."""
    ratio = """
        const canvas = document.createElement("canvas").getContext("2d");
        const light = (colour) => {
          canvas.fillStyle = "#000"; canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
          const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((v) => {
            v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const ground = (e) => { const c = getComputedStyle(e).backgroundColor;
          return c === "rgba(0, 0, 0, 0)" ? ground(e.parentElement) : c; };
        return [...document.querySelectorAll(arguments[0])].map((e) => {
          const [a, b] = [light(getComputedStyle(e).color), light(ground(e))];
          return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05); });
    """
    for theme in ("light", "dark"):
        look(browser, pages["labelled"], theme=theme)
        found = browser.execute_script(
            ratio, ".verdict *, .warnings li, caption, th, .badge, .chip, a"
        )
        assert min(found) >= 4.5, theme


def test_paper_is_white_and_has_no_controls(browser, pages):
    look(browser, pages["labelled"], theme="dark")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    background = "return getComputedStyle(document.body).backgroundColor"
    assert browser.execute_script(background) in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)")
    assert not browser.find_element(By.ID, "theme").is_displayed()
    assert browser.find_element(By.CSS_SELECTOR, ".verdict").is_displayed()
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_a_link_leads_to_the_whole_report(browser, pages):
    look(browser, pages["both"])
    browser.find_element(By.LINK_TEXT, "whole report").click()
    assert browser.current_url == pages["labelled"].as_uri()

"""What `irvis compare` refuses."""

import shutil

import pytest

from common.errors import ConfigError, DataError
from pipeline.commands.compare import compare
from tests.pipeline.commands.compare.two_runs import edit


def protocol(key, value):
    def change(runs):
        def set_value(results):
            *sections, name = key.split(".")
            part = results["protocol"]
            for section in sections:
                part = part[section]
            part[name] = value

        edit(runs / "second/results.json", set_value)

    return change


def nothing_labelled(runs):
    edit(runs / "second/results.json", lambda data: data["arms"]["ir"].update(detection=None))


def no_score(runs):
    edit(runs / "second/results.json", lambda data: data["arms"]["ir"]["detection"]["yolo"].clear())


def other_labels(runs):
    edit(runs / "second/ground_truth.json", lambda data: data["annotations"].pop())


def without(name):
    return lambda runs: (runs / "second" / name).unlink()


def partial(runs):
    (runs / "second").rename(runs / "second.partial")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            protocol("detector.conf", 0.25),
            ConfigError,
            r"detector\.conf is 0\.25 in second, but 0\.0 in first; .*same detector settings: run",
        ),
        (protocol("classes", [0]), ConfigError, r"^classes is \[0\] in second, but \[0, 2\] in fi"),
        (
            protocol("ground_truth_sha256", 64 * "0"),
            ConfigError,
            r"ground_truth_sha256 is 0{59}… in second, but \w{59}… in first; .*labelled images",
        ),
        (protocol("detector", None), DataError, "second: had no detector"),
        (
            no_score,
            DataError,
            r"second/results\.json: has no arms\.ir\.detection\.yolo\.\w+; it was edited",
        ),
        (nothing_labelled, DataError, "second: has no labelled objects"),
        (other_labels, DataError, r"second/ground_truth\.json: is not what results\.json beside"),
        (partial, DataError, r"second\.partial: the run isn't finished; .*run\.resume=true"),
        (lambda runs: shutil.rmtree(runs / "second"), DataError, "second: is no run folder: it ha"),
        (
            without("predictions/late.json"),
            DataError,
            r"second: is no whole.*/late\.json is missing",
        ),
        (without("ground_truth.json"), DataError, r"ground_truth\.json is missing; copy all of it"),
    ],
)
def test_refused(runs, monkeypatch, change, error, message):
    monkeypatch.chdir(runs)
    change(runs)
    with pytest.raises(error, match=message) as raised:
        compare([runs.joinpath(name).relative_to(runs) for name in ("first", "second")])
    assert "\n" not in str(raised.value)


def test_all_keys_that_differ_are_named(runs):
    protocol("detector.iou", 0.9)(runs)
    protocol("detector.conf", 0.25)(runs)
    with pytest.raises(ConfigError, match=r"detector\.conf is .*, detector\.iou differs too; "):
        compare([runs / "first", runs / "second"])


def test_two_runs_are_needed(made):
    with pytest.raises(ConfigError, match="needs two runs"):
        compare([made / "first"])
    with pytest.raises(ConfigError, match="first: given twice"):
        compare([made / "first", made / "second", made / "second" / ".." / "first"])

"""A run by an earlier commit and by this one: `python benchmarks/before.py COMMIT CONFIG [KEYS]`.

The commit is checked out into a temporary folder. Each round has `irvis run CONFIG KEYS` there and
here, whole processes with the same packages, in turns. Prints medians of the seconds and of the
ratios, and how far the arms' mAP differ, if there are labels.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import turns

HERE = Path(__file__).resolve().parents[1]
COMMAND = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from pipeline import cli
sys.exit(cli.main())
"""


@contextmanager
def checked_out(commit):
    """The folder of a commit, until the end of the block."""
    with tempfile.TemporaryDirectory() as temporary:
        tree = Path(temporary) / "tree"
        git = ["git", "-C", str(HERE), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), commit], check=True)  # noqa: S603
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)  # noqa: S603


class Runs:
    """Runs of one checkout, each into a new folder."""

    def __init__(self, tree, folder, configuration, overrides):
        folder.mkdir()
        self._given = [tree, "run", tree / configuration, *overrides]
        self._folder, self._count = folder, 0

    def time(self):
        """The time of one more run."""
        self._count += 1
        return turns.process(["-c", COMMAND, *self._given, f"run.dir={self._last}"], HERE)

    @property
    def _last(self):
        return self._folder / str(self._count)

    def scores(self):
        """Both mAP of each arm of the last run, by arm; empty without labels."""
        arms = json.loads((self._last / "results.json").read_text())["arms"]
        found = {name: arm["detection"] for name, arm in arms.items() if arm["detection"]}
        return {name: {key: part["yolo"][key] for key in ("map50", "map50_95")}
                for name, part in found.items()}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commit")
    parser.add_argument("configuration", type=Path, help="from the root of both checkouts")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--rounds", type=int, default=3)
    parsed = parser.parse_args()
    print(f"load {turns.load()}")
    with checked_out(parsed.commit) as tree, tempfile.TemporaryDirectory() as temporary:
        trees = {parsed.commit: tree, "here": HERE}
        runs = {
            name: Runs(mine, Path(temporary) / name, parsed.configuration, parsed.overrides)
            for name, mine in trees.items()
        }
        times = turns.in_turns(parsed.rounds, {name: mine.time for name, mine in runs.items()})
        before, here = (mine.scores() for mine in runs.values())
    for name, spent in times.items():
        wall, cpu = (turns.median(spent, clock) for clock in ("wall", "cpu"))
        print(f"{name:12} {wall:7.2f} s, of the processor {cpu:7.2f} s")
    faster = [turns.ratio(times[parsed.commit], times["here"], clock) for clock in ("wall", "cpu")]
    print(f"{faster[0]:.2f}x as fast, {faster[1]:.2f}x of the processor")
    if here and before:
        apart = {key: max(abs(here[arm][key] - before[arm][key]) for arm in here)
                 for key in ("map50", "map50_95")}  # fmt: skip
        print(
            "greatest difference of an arm: " + ", ".join(f"{k} {v:.1e}" for k, v in apart.items())
        )
    print(f"load {turns.load()}")


if __name__ == "__main__":
    sys.exit(main())

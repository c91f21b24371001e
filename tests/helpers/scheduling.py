"""Which of the processes of pytest-xdist runs which tests."""

from functools import cache

from xdist.scheduler import LoadFileScheduling


class ByFile(LoadFileScheduling):
    """A file goes to one process, and all files with `realtime` tests to the same one.

    xdist's own groups (`--dist loadgroup`) have no effect with pytest 9.
    """

    def _split_scope(self, nodeid):
        file = self.config.rootpath / super()._split_scope(nodeid)
        return "realtime" if _is_realtime(file) else str(file)


@cache
def _is_realtime(file):
    return "mark.realtime" in file.read_text(encoding="utf-8")

import pytest

from tests.helpers import toys, workers


@pytest.fixture(scope="module")
def ten(tmp_path_factory):
    """The folder of ten pairs."""
    return toys.write_pairs(tmp_path_factory.mktemp("ten") / "pairs", 10)


@pytest.fixture
def no_script():
    """Workers do what they are told by the test alone."""
    workers.SCRIPT.clear()
    workers.COMPUTED.clear()

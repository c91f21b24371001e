import pytest

from tests.helpers.threads import prompt
from tests.helpers.toy_sink import FailingSink


@pytest.fixture
def guarded():
    """Each test within seconds, and no thread or sink left."""
    with prompt(30):
        yield
    assert FailingSink.opened == []

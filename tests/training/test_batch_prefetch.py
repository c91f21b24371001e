"""Batches made ahead: the same ones, each made once, and mistakes where they belong."""

import threading
from collections import Counter

import pytest

from training.batch_prefetch import THREADS, BatchPrefetch


def test_it_gives_what_is_made_whatever_the_order():
    ahead = BatchPrefetch(lambda step: f"batch {step}")
    for step in (0, 1, 2, 7, 8, 3, 3, 1_000_000_000):
        assert ahead(step) == f"batch {step}"


def test_each_batch_is_made_once_and_before_its_turn():
    made, all_begun = Counter(), threading.Event()

    def make(step):
        made[step] += 1
        if step == THREADS:
            all_begun.set()
        elif step == 0:
            assert all_begun.wait(timeout=60)  # the next ones are begun before this one is there
        return step

    ahead = BatchPrefetch(make)
    assert [ahead(step) for step in range(20)] == list(range(20))
    assert max(made.values()) == 1


def test_a_mistake_is_raised_at_its_step():
    ahead = BatchPrefetch(lambda step: 1 / (step - 2))
    assert ahead(0) == -0.5
    assert ahead(1) == -1
    with pytest.raises(ZeroDivisionError):
        ahead(2)
    assert ahead(3) == 1

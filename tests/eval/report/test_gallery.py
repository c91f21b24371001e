import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.attribution import OUTCOMES
from eval.report.gallery import MOST, PLACES, Picks, rank, stride

ARMS = ("fused", "average", "late")
FATES = st.lists(st.tuples(*[st.sampled_from(OUTCOMES)] * len(ARMS)), max_size=150)


def kept_of(offers):
    """What is kept in the end, and the most at any time."""
    picks, kept, most = Picks(ARMS), set(), 0
    for name, place, outcomes in offers:
        mine, gone = picks.offer(name, place, outcomes)
        if mine:
            kept.add(name)
        kept -= set(gone)
        most = max(most, len(kept))
    return kept, most


def offers_of(fates):
    return [
        (str(i), rank(f"image {i}", 0), dict(zip(ARMS, mine, strict=True)))
        for i, mine in enumerate(fates)
    ]


@given(FATES)
def test_the_least_ranks_of_each_arm_and_outcome_are_kept(fates):
    offers = offers_of(fates)
    kept, most = kept_of(offers)
    wanted = set()
    for arm in ARMS:
        for outcome, places in PLACES.items():
            mine = [(place, name) for name, place, fate in offers if fate[arm] == outcome]
            wanted |= {name for _, name in heapq.nsmallest(places // len(ARMS), mine)}
    assert kept == wanted
    assert most <= MOST


@given(FATES, st.randoms())
def test_the_order_changes_nothing(fates, random):
    offers = offers_of(fates)
    shuffled = random.sample(offers, len(offers))
    assert kept_of(shuffled)[0] == kept_of(offers)[0]


def test_what_every_arm_kept_is_never_shown():
    assert kept_of([("a", 1, dict.fromkeys(ARMS, "kept_both"))])[0] == set()


def test_an_object_stays_while_one_arm_needs_it():
    picks = Picks(("a", "b"))
    places = PLACES["rescued"] // 2
    assert picks.offer("first", 1000, {"a": "rescued", "b": "lost_both"}) == (True, [])
    for number in range(places):
        gone = picks.offer(f"o{number}", number, {"a": "rescued", "b": "kept_both"})[1]
        assert gone == []  # b still shows the first one
    for number in range(PLACES["lost_both"] // 2):
        last = picks.offer(f"l{number}", number, {"a": "kept_both", "b": "lost_both"})
    assert last == (True, ["first"])


def test_the_rank_is_fixed():
    assert rank("000001", 0) == rank("000001", 0)
    assert rank("000001", 0) != rank("000001", 1)
    assert 0 <= rank("\udcff\n<script>", 3) < 2**64


@pytest.mark.parametrize(
    ("number", "step"), [(0, 1), (11, 1), (12, 2), (23, 2), (24, 4), (50_000, 8192)]
)
def test_moments(number, step):
    assert stride(number, 12) == step


@given(st.integers(0, 100_000), st.integers(1, 20))
def test_there_are_never_more_moments_than_wanted(number, most):
    step = stride(number, most)
    assert number // step + 1 <= most
    assert step == 1 or number // (step // 2) + 1 > most

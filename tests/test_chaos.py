"""Five kills at random; `make chaos` deals fifty."""

import pytest

from tests import services
from tests.chaos import as_table, run_chaos

pytestmark = pytest.mark.chaos


@pytest.mark.skipif(bool(services.what_is_missing()), reason=services.what_is_missing())
def test_whatever_is_killed_the_next_night_makes_it_whole():
    rounds = run_chaos(5, seed=3, say=print)
    assert sum(len(one.kills) for one in rounds) == 5
    assert [one.wrong for one in rounds] == [[] for _ in rounds], as_table(rounds)
    assert {one.next_night for one in rounds} == {"COMPLETED"}

"""The law of large values: a task gets the value itself, and nobody has looked through it."""

import pytest
from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.runs import whole


class Sealed(list):
    """A collection that tells who looks through it."""

    def __iter__(self):
        raise AssertionError("somebody looks through it")


@task(cache_policy=NO_CACHE, persist_result=False)
def kind_of(value):
    return type(value)


@pytest.mark.prefect
@pytest.mark.usefixtures("prefect_server")
def test_a_whole_value_reaches_its_task_as_it_is():
    assert kind_of(whole(Sealed("ab"))) is Sealed
    with pytest.raises(AssertionError):
        kind_of(Sealed("ab"))

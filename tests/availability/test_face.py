"""The law of the face: its names are what other programs call, whatever was loaded before."""

import subprocess
import sys

import pytest

import availability

FUNCTIONS = [name for name in availability.__all__ if name.islower()]


@pytest.mark.parametrize(
    "before",
    ["", "import availability.status, availability.ensure, availability.adopt"],
    ids=["in a fresh process", "after the rooms"],
)
def test_a_name_of_the_face_is_no_room_of_the_same_name(before):
    program = f"{before}\nfrom availability import {', '.join(FUNCTIONS)}\n"
    program += "\n".join(f"assert callable({name}), {name}" for name in FUNCTIONS)
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_one_name_alone_is_the_same(name):
    subprocess.run(
        [sys.executable, "-c", f"from availability import {name}; assert callable({name}), {name}"], check=True
    )


def test_rooms_are_reached_by_their_path():
    from availability.status import Availability  # noqa: PLC0415  the import is what is tested

    assert Availability.__module__ == "availability.status"
    assert callable(availability.status)


def test_a_name_that_is_not_there_is_named():
    with pytest.raises(AttributeError, match="'nothing_of_this_name'"):
        _ = availability.nothing_of_this_name

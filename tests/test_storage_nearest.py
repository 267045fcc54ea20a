"""A misspelt name gets the nearest that exists."""

from storage.nearest import unknown_name


def test_the_nearest_name_is_suggested() -> None:
    message = unknown_name("GPT preset", "aleph", ["demo", "alef", "bet"])
    assert message == "there is no GPT preset 'aleph'; there are demo, alef, bet; did you mean alef?"


def test_nothing_is_suggested_where_nothing_is_near() -> None:
    assert unknown_name("GPT preset", "zzz", ["demo", "alef"]).endswith("there are demo, alef")

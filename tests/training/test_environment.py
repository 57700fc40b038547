"""What differs between two environments, in words."""

from __future__ import annotations

from fledged.training.environment import differences, environment


def test_an_environment_is_equal_to_itself_and_differences_are_named() -> None:
    now = environment()
    assert differences(now, now) == []
    then = now.model_copy(update={"n_threads": now.n_threads + 6, "cpu": "Abacus"})
    assert differences(then, now) == [
        f"threads {now.n_threads + 6} then, {now.n_threads} now",
        f"CPU Abacus then, {now.cpu} now",
    ]

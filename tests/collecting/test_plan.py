"""Plans: what they say, and what is wrong with them in words."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fledged.collecting.plan import ENGINES, Plan, read_plan
from fledged.errors import ConfigError


def plan(folder: Path, text: str) -> Plan:
    path = folder / "plan.toml"
    path.write_text(text, encoding="utf-8")
    return read_plan(path)


def test_classes_take_what_the_plan_says_unless_they_say_otherwise(tmp_path: Path) -> None:
    read = plan(
        tmp_path,
        'engines = ["bing"]\nmodifiers = ["night", "snow"]\nlimit = 9\n'
        '[classes."barn owl"]\nsearch = ["barn owl", "Tyto alba"]\n'
        '[classes.hawk]\nsearch = ["hawk"]\nengines = ["google", "bing"]\nmodifiers = []\nlimit = 0\n',
    )
    assert read.searches_of("barn owl") == [
        ("bing", query)
        for query in ("barn owl", "Tyto alba", "barn owl night", "Tyto alba night", "barn owl snow", "Tyto alba snow")
    ]
    assert read.searches_of("hawk") == [("google", "hawk"), ("bing", "hawk")]
    assert (read.limit_of("barn owl"), read.limit_of("hawk")) == (9, 0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[classes.owl]\nurl = ["a.txt"]', "`classes.owl.url`: the class `owl` has no `url`.*Did you mean `urls`"),
        ('[class.owl]\nurls = ["a.txt"]', "names no class|`class`: a plan has no `class`.*Did you mean `classes`"),
        ('engins = ["bing"]\n[classes.owl]\nurls = ["a"]', "has no `engins`.*Did you mean `engines`"),
        ('[classes.owl]\nsearch = ["owl"]\nengines = ["bnig"]', "'bnig'.*no known search engine.*Did you mean `bing`"),
        ('[classes.owl]\nurls = "a.txt"', r"`classes.owl.urls` is 'a.txt'.*Write a list"),
        ('[classes.owl]\nurls = ["a"]\nlimit = -1', "`classes.owl.limit` is -1"),
        ("[classes.owl]\nlimit = 3", "`owl` names no source"),
        ("", "names no class"),
        ("[classes]", "names no class"),
        ('[classes."a/b"]\nurls = ["a"]', "cannot be a folder's name"),
        ('[classes.train]\nurls = ["a"]', "would be taken for a split"),
        ('[classes."e\\u0301"]\nurls = ["a"]\n[classes."\\u00e9"]\nurls = ["a"]', "is there twice"),
        ("[classes.owl\n", "is not TOML"),
    ],
)
def test_what_is_wrong_is_said_with_the_nearest_known_key(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        plan(tmp_path, text)
    assert "plan.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_plan_that_is_no_text_is_said(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_plan(tmp_path / "plan.toml")


words = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Co", "Zl", "Zp", "Cf"]), max_size=12
)


@settings(deadline=None, max_examples=60)
@given(text=st.text(max_size=200) | st.builds("[classes.{}]\n{} = {}".format, words, words, words))
def test_any_text_is_a_plan_or_a_one_line_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    try:
        read = plan(tmp_path_factory.getbasetemp(), text)
    except ConfigError as error:
        assert "\n" not in str(error)
    except UnicodeEncodeError:
        pass  # not a text that a file can hold
    else:
        assert read.classes
        assert set(tomllib.loads(text)) <= set(Plan.model_fields)


@settings(deadline=None, max_examples=60)
@given(terms=st.lists(words, max_size=4), modifiers=st.lists(words, max_size=3))
def test_searches_are_each_term_with_each_modifier_and_none_twice(terms: list[str], modifiers: list[str]) -> None:
    read = Plan.model_validate({"classes": {"owl": {"search": terms}}, "modifiers": modifiers, "engines": ENGINES})
    searches = read.searches_of("owl")
    assert len(searches) == len(set(searches))
    wanted = {" ".join(f"{t} {m}".split()) for t in terms for m in ("", *modifiers)} - {""}
    assert {query for _, query in searches} == wanted

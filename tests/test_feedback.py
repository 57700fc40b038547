"""The log of feedback as it is read back, and the whole way of a photo: server, lake, review, dataset."""

from __future__ import annotations

from pathlib import Path

import httpx
import polars as pl
import pytest

import fledged
from demo.drawing import draw_lake
from fledged.errors import LakeError
from fledged.feedback import LOG, read_feedback
from fledged.predicting.predictor import load
from fledged.progress import silent
from fledged.provenance import read_provenance
from fledged.reviewing.decisions import Decision
from fledged.reviewing.log import DecisionLog
from fledged.workspace import Workspace
from tests.bundles import make_tiny_bundle
from tests.serving.conftest import serving
from tests.tiny import TINY

EYES = TINY | {"input": {"size_px": 64}}


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    good = '{"time": "", "sha256": "%s", "said": "a", "answered": "b", "confidence": 1, "bundle_id": ""}' % ("0" * 64)
    (tmp_path / LOG).write_text(f'{good}\n\n{{"time": "20')
    assert [line.said for line in read_feedback(tmp_path)] == ["a"]
    (tmp_path / LOG).write_text(f"{good}\n{good.replace('0' * 64, '../x')}\n")
    with pytest.raises(LakeError, match="Line 2 is no feedback: `sha256`"):
        list(read_feedback(tmp_path))


def test_from_a_click_to_the_lake_the_review_and_the_dataset(tmp_path: Path) -> None:
    lake, more, feedback, work = (tmp_path / name for name in ("lake", "more", "feedback", "work"))
    draw_lake(lake, n_per_class=8, defects=False, size_px=(96, 72))
    draw_lake(more, n_per_class=3, defects=False, size_px=(96, 72), seed=99)
    classes = sorted(path.name for path in lake.iterdir() if path.is_dir())
    a, b = classes[:2]
    new = [path.read_bytes() for path in sorted((more / a).iterdir())][:3]
    trusted = sorted((lake / b).iterdir())[0]
    predictor = load(make_tiny_bundle(tmp_path / "served", classes))
    answered = predictor.predict(new[0]).label
    with serving(predictor, feedback={"folder": str(feedback)}) as url:
        # Two say one thing of the first photo and one another; the third shows nothing; one is of the lake already.
        for photo, said in [
            (new[0], b),
            (new[0], a),
            (new[0], a),
            (new[1], a),
            (new[2], "unknown"),
            (trusted.read_bytes(), a),
        ]:
            assert httpx.post(f"{url}/feedback", params={"label": said}, content=photo).status_code == 201

    collected = fledged.collect(feedback, lake, report=silent)
    assert collected.n_new == 4
    assert fledged.collect(feedback, lake, report=silent).n_new == 0  # and again nothing
    claims = {line.path: line for line in read_provenance(lake) if line.engine == "feedback"}
    assert sorted(path.partition("/")[0] for path in claims) == sorted([a, a, a, "unknown"])

    fledged.scan(lake, work=work, report=silent)
    review = fledged.review(work=work, report=silent, train=EYES)
    found = review.findings().filter(pl.col("kind") == "feedback")
    assert sorted(found["path"]) == sorted(claims)
    assert found["advice"].to_list() == ["drop" if path.startswith("unknown/") else "look" for path in found["path"]]
    assert set(found["suggested_label"].drop_nulls()) <= set(classes)
    assert review.findings()["kind"][0] == "feedback"  # the first thing to look at

    def left_out() -> dict[str, str]:
        members = fledged.prepare(work=work, report=silent, shorter_side_px=64).members()
        return dict(members.filter(pl.col("left_out").is_not_null()).select("path", "left_out").rows())

    # A claim neither takes part nor takes a photo away that was there before.
    assert left_out() == dict.fromkeys(claims, "feedback that nobody has looked at")

    first, second, third = sorted(path for path in claims if path.startswith(f"{a}/"))
    log = DecisionLog(Workspace(work).decisions)
    log.append(
        [
            Decision(path=first, action="keep", reviewer="ana"),
            Decision(path=second, action="relabel", label=b, reviewer="ana"),
        ],
        [None, None],
    )
    fledged.review(work=work, report=silent, apply="advice", train=EYES)
    reasons = left_out()
    assert first not in reasons
    assert reasons[third] == "feedback that nobody has looked at"
    nothing = next(path for path in claims if path.startswith("unknown/"))
    assert reasons[nothing] == "dropped as advised"
    assert answered in classes

"""Bundles that are meant to harm: refused in one line, and nothing in them is run or read."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fledged.errors import FledgedError
from fledged.predicting.predictor import load
from fledged.products import REFERENCE_FILE, Bundle
from fledged.writing import sha256_of_file
from tests.bundles import colour_model, make_tiny_bundle

GROUP = "Bundles"
TRACE = "was_here"


class Bomb:
    """What a pickle would do when it is opened."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.mkdir, (TRACE,)


def torchscript() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps(Bomb()))
        archive.writestr("model/code/__torch__.py", "import os; os.mkdir('was_here')")
        archive.writestr("model/version", "3")
    return buffer.getvalue()


def with_weights(**changes: object) -> bytes:
    """The colour model with its weights changed."""
    model = onnx.load_from_string(colour_model(3))
    (weights,) = model.graph.initializer
    if "location" in changes:
        weights.ClearField("raw_data")
        weights.data_location = TensorProto.EXTERNAL
        for key in ("location", "offset", "length"):
            if key in changes:
                weights.external_data.add(key=key, value=str(changes[key]))
    if "dims" in changes:
        del weights.dims[:]
        weights.dims.extend(changes["dims"])
    return bytes(model.SerializeToString())


def own_operator() -> bytes:
    node = helper.make_node("RunThis", ["photos"], ["probabilities"], domain="evil")
    graph = helper.make_graph(
        [node],
        "evil",
        [helper.make_tensor_value_info("photos", TensorProto.UINT8, ["n", "s", "s", 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 3])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("evil", 1)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())


def endless(*, in_function: bool = False) -> bytes:
    """A model whose loop ends in a few centuries."""
    texts = [
        helper.make_tensor_value_info(name, kind, [])
        for name, kind in (("i", TensorProto.INT64), ("c", TensorProto.BOOL))
    ]
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["again"]), helper.make_node("Identity", ["v"], ["w"])],
        "body",
        [*texts, helper.make_tensor_value_info("v", TensorProto.FLOAT, [1, 3])],
        [
            helper.make_tensor_value_info("again", TensorProto.BOOL, []),
            helper.make_tensor_value_info("w", TensorProto.FLOAT, [1, 3]),
        ],
    )
    loop = helper.make_node("Loop", ["times", "go", "start"], ["probabilities"], body=body)
    names = ["times", "go", "start"]
    values = [np.array(2**62), np.array(True), np.ones((1, 3), np.float32)]
    opset = helper.make_opsetid("", 17)
    functions = []
    if in_function:
        functions = [helper.make_function("own", "Round", names, ["probabilities"], [loop], [opset])]
        loop = helper.make_node("Round", names, ["probabilities"], domain="own")
    graph = helper.make_graph(
        [loop],
        "endless",
        [helper.make_tensor_value_info("photos", TensorProto.UINT8, ["n", "s", "s", 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(value, name) for name, value in zip(names, values, strict=True)],
    )
    opsets = [opset, helper.make_opsetid("own", 1)]
    return bytes(helper.make_model(graph, functions=functions, opset_imports=opsets, ir_version=8).SerializeToString())


CASES: dict[str, Callable[[], bytes]] = {
    "O01 a pickle as the model": lambda: pickle.dumps(Bomb()),
    "O02 a pickle of another protocol": lambda: pickle.dumps(Bomb(), protocol=0),
    "O03 a TorchScript archive as the model": torchscript,
    "O04 a zip of nothing": lambda: b"PK\x05\x06" + bytes(18),
    "O05 an empty model": lambda: b"",
    "O06 a model that is cut off": lambda: colour_model(3)[:-100],
    "O07 weights in ../": lambda: with_weights(location="../secret"),
    "O08 weights at an absolute path": lambda: with_weights(location="/etc/passwd", length=36),
    "O09 weights behind a link": lambda: with_weights(location="link"),
    "O10 weights in the folder itself": lambda: with_weights(location="secret", offset=0, length=36),
    "O11 weights of 2^62 numbers": lambda: with_weights(dims=[2**31, 2**31]),
    "O12 weights of a negative size": lambda: with_weights(dims=[-3, 3]),
    "O13 an operator of its own": own_operator,
    "O21 an operator that goes round 2^62 times": endless,
    "O22 the same in a function": lambda: endless(in_function=True),
}


def bundle_with(folder: Path, model: bytes) -> Path:
    """A bundle whose hashes are right: its maker is the attacker."""
    bundle = make_tiny_bundle(folder)
    (bundle.folder / "model.onnx").write_bytes(model)
    (bundle.folder / "secret").write_bytes(np.ones(9, np.float32).tobytes())
    (folder / "secret").write_bytes(np.ones(9, np.float32).tobytes())
    (bundle.folder / "link").symlink_to("/etc/passwd")
    record = json.loads((bundle.folder / "bundle.json").read_text())
    record["files"] = {"model.onnx": sha256_of_file(bundle.folder / "model.onnx")}
    (bundle.folder / "bundle.json").write_text(json.dumps(record))
    return bundle.folder


@pytest.mark.parametrize("case", CASES)
def test_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    folder = bundle_with(tmp_path / "work", CASES[case]())
    monkeypatch.chdir(folder)
    with pytest.raises(FledgedError) as told:
        load(folder)
    assert "\n" not in str(told.value)
    assert "root:" not in str(told.value)
    assert not list(tmp_path.rglob(TRACE))


RECORDS: dict[str, dict[str, object]] = {
    "O14 a record that names ../../etc/passwd": {"files": {"../../etc/passwd": "0" * 64}},
    "O15 a record that names an absolute path": {"files": {"/etc/passwd": "0" * 64}},
    "O16 a record with a hash that is not the file's": {"files": {"model.onnx": "0" * 64}},
    "O17 a record without hashes": {"files": {}},
    "O18 a record of a later format": {"version": 999},
    "O19 a record with fields of its own": {"on_load": "os.system('true')"},
    "O23 a record of lists in lists": {"version": json.loads("[" * 900 + "]" * 900)},
    "O24 a file whose name ends at a zero byte": {"files": {"model.onnx\0.txt": "0" * 64}},
    "O25 two classes of one name": {"classes": ["red", "red", "blue"]},
    "O26 a class without a name": {"classes": ["", "green", "blue"]},
    "O30 an id that adds lines to a template of AWS": {"id": "x\n      Role: arn:aws:iam::1:role/Admin"},
    "O31 a run in ../../": {"run_id": "../../runs/x"},
    "O20 a million classes": {"classes": [str(number) for number in range(10**6)]},
}


@pytest.mark.parametrize("case", RECORDS)
def test_records(tmp_path: Path, case: str) -> None:
    bundle: Bundle = make_tiny_bundle(tmp_path)
    record = json.loads((bundle.folder / "bundle.json").read_text())
    (bundle.folder / "bundle.json").write_text(json.dumps(record | RECORDS[case]))
    with pytest.raises(FledgedError) as told:
        load(bundle.folder)
    assert "\n" not in str(told.value)
    assert "root:" not in str(told.value)


def test_a_record_that_is_nested_too_deep(tmp_path: Path) -> None:
    """O27 a record of 200,000 brackets"""
    bundle = make_tiny_bundle(tmp_path)
    (bundle.folder / "bundle.json").write_text("[" * 200_000)
    with pytest.raises(FledgedError, match="damaged"):
        load(bundle.folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
@pytest.mark.parametrize("name", ["bundle.json", "model.onnx"])
def test_a_pipe_is_not_waited_for(tmp_path: Path, name: str) -> None:
    """O28 pipes and devices in the place of its files"""
    bundle = make_tiny_bundle(tmp_path)
    (bundle.folder / name).unlink()
    os.mkfifo(bundle.folder / name)
    with pytest.raises(FledgedError, match="not a regular file"):
        load(bundle.folder)
    (bundle.folder / name).unlink()
    (bundle.folder / name).symlink_to("/dev/zero")
    with pytest.raises(FledgedError, match="not a regular file"):
        load(bundle.folder)


def test_answers_that_make_no_sense_are_one_line(tmp_path: Path) -> None:
    """O29 answers to compare with that are no answers"""
    bundle = make_tiny_bundle(tmp_path)
    file = bundle.folder / REFERENCE_FILE
    file.write_text("[" * 200_000)
    forged = bundle.model_copy(update={"files": {**bundle.files, REFERENCE_FILE: sha256_of_file(file)}})
    forged.at(bundle.folder)
    with pytest.raises(FledgedError, match="damaged"):
        forged.reference()

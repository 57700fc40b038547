"""The operators of a model, as ONNX's own package sees them; bytes that are no model raise ValueError alone."""

from __future__ import annotations

import contextlib
from collections import Counter

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fledged.predicting.operators import operators
from tests.bundles import colour_model
from tests.serving.security.test_models import endless


def test_they_are_those_that_onnx_sees() -> None:
    model = colour_model(3)
    assert Counter(operators(model)) == Counter(node.op_type for node in onnx.load_from_string(model).graph.node)


@pytest.mark.parametrize("in_function", [False, True])
def test_graphs_in_nodes_and_functions_are_looked_into(in_function: bool) -> None:
    found = Counter(operators(endless(in_function=in_function)))
    assert found == Counter(["Loop", "Identity", "Identity", *(["Round"] if in_function else [])])


@given(st.binary(max_size=200), st.integers(0, 2000), st.booleans())
def test_no_bytes_end_it_otherwise(data: bytes, at: int, is_alone: bool) -> None:
    model = colour_model(3)
    with contextlib.suppress(ValueError):
        list(operators(data if is_alone else model[:at] + data + model[at + len(data) :]))


def test_graphs_in_graphs_without_an_end() -> None:
    def field(number: int, content: bytes) -> bytes:
        n, length = len(content), b""
        while n > 127:
            length, n = length + bytes([n & 127 | 128]), n >> 7
        return bytes([number << 3 | 2]) + length + bytes([n]) + content

    graph = b""
    for _ in range(500):
        graph = field(1, field(5, field(6, graph)))
    with pytest.raises(ValueError, match="too deep"):
        list(operators(field(7, graph)))

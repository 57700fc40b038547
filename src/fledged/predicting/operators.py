"""What an ONNX model is made of, without ONNX's own package: the types of its operators.

https://protobuf.dev/programming-guides/encoding and https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

from collections.abc import Iterator

# They repeat a graph as often as a number in the model says. No export writes them.
ENDLESS = frozenset({"Loop", "Scan", "SequenceMap"})

_GRAPH_OF_MODEL, _FUNCTION_OF_MODEL = 7, 25
_NODE_OF_GRAPH, _NODE_OF_FUNCTION = 1, 7
_TYPE_OF_NODE, _ATTRIBUTE_OF_NODE = 4, 5
_GRAPH_OF_ATTRIBUTE, _GRAPHS_OF_ATTRIBUTE = 6, 11
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_DEEPEST = 50  # graphs in graphs


def operators(model: bytes) -> Iterator[str]:
    """The type of each node, those in graphs of nodes and in functions too. Raises ValueError for what is no model."""
    for field, part in _fields(memoryview(model)):
        if field == _GRAPH_OF_MODEL:
            yield from _of_graph(part, _NODE_OF_GRAPH, 0)
        elif field == _FUNCTION_OF_MODEL:
            yield from _of_graph(part, _NODE_OF_FUNCTION, 0)


def _of_graph(graph: memoryview, node: int, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        raise ValueError("graphs are nested too deep")
    for field, part in _fields(graph):
        if field == node:
            yield from _of_node(part, depth)


def _of_node(node: memoryview, depth: int) -> Iterator[str]:
    for field, part in _fields(node):
        if field == _TYPE_OF_NODE:
            yield bytes(part).decode(errors="replace")
        elif field == _ATTRIBUTE_OF_NODE:
            for kind, graph in _fields(part):
                if kind in (_GRAPH_OF_ATTRIBUTE, _GRAPHS_OF_ATTRIBUTE):
                    yield from _of_graph(graph, _NODE_OF_GRAPH, depth + 1)


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The fields of a message that are bytes: number and content."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            _, at = _varint(message, at)
        elif kind == _BYTES:
            n_bytes, at = _varint(message, at)
            if at + n_bytes > len(message):
                raise ValueError("a field is cut off")
            yield key >> 3, message[at : at + n_bytes]
            at += n_bytes
        elif kind in (_FIXED64, _FIXED32):
            at += 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"there are no fields of kind {kind}")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for place in range(10):
        if at + place >= len(message):
            break
        byte = message[at + place]
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, at + place + 1
    raise ValueError("a number is cut off")

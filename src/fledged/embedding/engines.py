"""What runs a graph where frozen blocks are computed: ONNX Runtime, which also serves it, or OpenVINO.

`train.cache.engine` asks for one, and `agreement` says whether it may be another than the one that serves.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnxruntime

from fledged import engine, onnx_sessions
from fledged.networks.graph import INPUT

Float32Array = npt.NDArray[np.float32]
Name = Literal["onnxruntime", "openvino"]
# Of one photo, or of what left the blocks before: (1, *shape) to (1, *other_shape). Threads may share it.
Ask = Callable[[npt.NDArray[Any]], Float32Array]

SERVES: Name = "onnxruntime"


def is_installed(name: Name) -> bool:
    """Whether it can be asked here."""
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.origin is not None  # a folder of that name is no package


def opened(name: Name, onnx: bytes) -> Ask:
    """The graph, to be asked by several threads at once, each question answered on one."""
    return OPEN[name](onnx)


def _by_onnxruntime(onnx: bytes) -> Ask:
    options = onnx_sessions.options(1, integers=True)  # of a graph in integers, too: an export finds its threshold anew
    session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])

    def ask(inputs: npt.NDArray[Any]) -> Float32Array:
        made: Float32Array = session.run(None, {INPUT: inputs})[0]
        return made

    return ask


def _by_openvino(onnx: bytes) -> Ask:
    import openvino

    core = openvino.Core()
    model = core.read_model(onnx)
    shape = model.inputs[0].partial_shape
    shape[0] = 1
    model.reshape(shape)  # a fixed shape is the faster one
    # A stream answers one question at a time, on one thread: as many as there are cores.
    n_streams = engine.n_workers(0)
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",  # otherwise bfloat16, where the processor has it
        "NUM_STREAMS": n_streams,
        "INFERENCE_NUM_THREADS": n_streams,
        "ENABLE_CPU_PINNING": False,  # other processes do the same, on the same cores
    }
    compiled = core.compile_model(model, "CPU", settings)
    of_thread = threading.local()

    def ask(inputs: npt.NDArray[Any]) -> Float32Array:
        if not hasattr(of_thread, "request"):
            of_thread.request = compiled.create_infer_request()
        made: Float32Array = of_thread.request.infer({0: inputs}, share_inputs=True)[0]
        return made

    return ask


OPEN: dict[Name, Callable[[bytes], Ask]] = {"onnxruntime": _by_onnxruntime, "openvino": _by_openvino}

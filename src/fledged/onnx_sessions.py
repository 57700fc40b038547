"""ONNX graphs, opened to answer on the CPU: with a number of threads, and exactly in integers on every processor."""

from __future__ import annotations

import base64
import functools
import zlib

import numpy as np
import onnxruntime

# A product of 255s and 127s, (4, 64) by (64, 16), as an ONNX graph; tests/test_onnx_sessions.py makes it.
_PRODUCT = (
    "c-rIO5MocuNli&lO|iPm!6m`PSi!|uF2q==#Os?_;#->InOBmUo?0ZtkzbZtl$MiUuGPcA;lLpv!0g0W"
    "?$y9iKMF>{C>XIIN*GvV2=Q_8a4-pRa4~VP0I@?7P_Pm#$Oab_aAM(N5a0y>;%^Z%"
)
_EXACT = 64 * 255 * 127


def options(threads: int, *, integers: bool = False) -> onnxruntime.SessionOptions:
    """For a session that runs on so many threads; `integers` where the graph multiplies signed bytes."""
    chosen = onnxruntime.SessionOptions()
    chosen.intra_op_num_threads = threads
    chosen.inter_op_num_threads = 1
    chosen.log_severity_level = 4  # no errors either: they come back as exceptions
    if integers and not multiplies_bytes_exactly():
        # Weights become unsigned bytes: the same sums, at half the speed.
        chosen.add_session_config_entry("session.x64quantprecision", "1")
    return chosen


@functools.lru_cache(maxsize=1)
def multiplies_bytes_exactly() -> bool:
    """Whether products of unsigned and signed bytes are summed without overflow on this processor, by trying it.

    x86 processors without VNNI add two of them in 16 bits, which overflow, and onnxruntime takes the faster way unless
    it is told not to. https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
    """
    session = onnxruntime.InferenceSession(zlib.decompress(base64.b85decode(_PRODUCT)), options(1))
    sums = session.run(None, {"x": np.full((4, 64), 255, np.uint8)})[0]
    return bool((sums == _EXACT).all())

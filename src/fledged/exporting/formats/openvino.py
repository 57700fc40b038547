"""OpenVINO's own format, for processors of Intel's: `model.xml` and `model.bin`, in float32."""

from __future__ import annotations

from pathlib import Path

from fledged.exporting.formats.source import Source
from fledged.exporting.parity import Ask, Float32Array
from fledged.images import UInt8Array
from fledged.networks.graph import INPUT


def convert(source: Source, folder: Path) -> Ask | None:
    """Writes both files, and asks them through OpenVINO on the CPU, in float32."""
    import openvino

    onnx_file = folder / "source.onnx"
    onnx_file.write_bytes(source.onnx)
    model = openvino.convert_model(onnx_file)
    onnx_file.unlink()
    openvino.save_model(model, folder / "model.xml", compress_to_fp16=False)
    # Where the processor has bfloat16, OpenVINO otherwise takes that, whose answers are others.
    compiled = openvino.Core().compile_model(folder / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    names = source.network.outputs

    def ask(photos_NHWC: UInt8Array) -> dict[str, Float32Array]:
        answers = compiled({INPUT: photos_NHWC})
        return {name: answers[name].copy() for name in names}

    return ask

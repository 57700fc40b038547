"""What people write around an ONNX model: Pillow, NumPy, onnxruntime with one thread a worker."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image


class Model:
    """A bundle's model, asked with a photo's bytes."""

    def __init__(self, bundle: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(f"{bundle}/model.onnx", options, providers=["CPUExecutionProvider"])
        told = json.loads((Path(bundle) / "bundle.json").read_text())
        self.classes, self.side_px = told["classes"], told["preprocess"]["size_px"]

    def __call__(self, photo: bytes) -> dict[str, str | float]:
        """The likeliest class and its probability."""
        picture = Image.open(io.BytesIO(photo)).convert("RGB")
        scale = self.side_px / min(picture.size)
        picture = picture.resize(
            (round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BILINEAR
        )
        left, top = (picture.width - self.side_px) // 2, (picture.height - self.side_px) // 2
        picture = picture.crop((left, top, left + self.side_px, top + self.side_px))
        row = self.session.run(["probabilities"], {"photos": np.asarray(picture)[None]})[0][0]
        return {"label": self.classes[int(row.argmax())], "confidence": float(row.max())}

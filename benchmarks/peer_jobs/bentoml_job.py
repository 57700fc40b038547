"""BentoML with a bundle's ONNX: `bentoml serve bentoml_job:Classifier`, with BUNDLE in the environment."""

import os
from pathlib import Path

import bentoml
from serving_model import Model


@bentoml.service(workers=2, traffic={"timeout": 60}, metrics={"enabled": False})
class Classifier:
    """A photo of a form in, the likeliest class out."""

    def __init__(self) -> None:
        self.model = Model(os.environ["BUNDLE"])

    @bentoml.api(route="/classify")
    def classify(self, photo: Path) -> dict:
        return self.model(photo.read_bytes())

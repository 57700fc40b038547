"""LitServe with a bundle's ONNX: `litserve_job.py BUNDLE PORT`."""

import sys

import litserve
from serving_model import Model


class Classifier(litserve.LitAPI):
    """A photo of a form in, the likeliest class out."""

    def setup(self, device: str) -> None:
        self.model = Model(sys.argv[1])

    def decode_request(self, request) -> bytes:  # unannotated: a form is then given as a dict
        return request["photo"].file.read()

    def predict(self, photo: bytes) -> dict:
        return self.model(photo)

    def encode_response(self, output: dict) -> dict:
        return output


if __name__ == "__main__":
    # Workers of one thread each, one a core: its own advice for models on CPU.
    server = litserve.LitServer(Classifier(api_path="/classify"), accelerator="cpu", workers_per_device=2, timeout=60)
    server.run(host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False, log_level="error")

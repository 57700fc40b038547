"""imagededup's default near duplicates: `python imagededup_job.py LAKE OUT.json phash|cnn [WEIGHTS]`.

With the CNN, its own weights come from torchvision's hub; where that cannot be reached, WEIGHTS names a safetensors
file of torchvision's MobileNetV2 instead, as imagededup's documentation says how to bring a model.
"""

import json
import sys
from pathlib import Path


def main(lake: Path, out: Path, how: str, weights: str | None) -> None:
    """Write {"pairs": [[path, path]]}; the distance and similarity limits are imagededup's defaults."""
    from imagededup.methods import CNN, PHash

    if how == "phash":
        method = PHash(verbose=False)
        encodings = method.encode_images(image_dir=str(lake), recursive=True)
        found = method.find_duplicates(encoding_map=encodings)
    else:
        method = CNN(verbose=False) if weights is None else CNN(verbose=False, model_config=_own_model(weights))
        encodings = method.encode_images(image_dir=str(lake), recursive=True)
        found = method.find_duplicates(encoding_map=encodings)
    pairs = {tuple(sorted((one, other))) for one, others in found.items() for other in others}
    out.write_text(json.dumps({"pairs": sorted(pairs), "seen": sorted(encodings)}))


def _own_model(weights: str) -> object:
    import torch
    from imagededup.utils import CustomModel
    from safetensors.torch import load_file
    from torchvision.models import mobilenet_v2
    from torchvision.transforms import Compose, Normalize, Resize, ToTensor

    class Pooled(torch.nn.Module):
        name = "mobilenet_v2"
        transform = Compose([Resize((256, 256)), ToTensor(), Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])

        def __init__(self) -> None:
            super().__init__()
            self.features = mobilenet_v2().features
            prefix = "features."
            found = {key: value for key, value in load_file(weights).items() if key.startswith(prefix)}
            self.features.load_state_dict({key.removeprefix(prefix): value for key, value in found.items()})

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            pooled: torch.Tensor = self.features(batch).mean((2, 3))
            return pooled

    # As its own models are: in training mode a photo's features would depend on its batch.
    return CustomModel(name=Pooled.name, model=Pooled().eval(), transform=Pooled.transform)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4] if len(sys.argv) > 4 else None)

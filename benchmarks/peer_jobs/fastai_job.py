"""fastai's usual training: `python fastai_job.py LAKE OUT.json WEIGHTS frozen|full|fine_tune EPOCHS SEED`.

LAKE holds train, val and test with a folder a class. Default augmentation, batches of 64, two workers, `fit_one_cycle`
(or `fine_tune`: an epoch of the frozen network, then EPOCHS of all of it), on torchvision's MobileNetV2 with the
weights of a safetensors file: what its documentation does with a folder.
"""

import json
import sys
import time
from pathlib import Path


def main(lake: Path, out: Path, weights: Path, how: str, epochs: int, seed: int) -> None:
    """Write seconds an epoch and the test answers."""
    import torch
    from fastai.vision.all import (
        ImageDataLoaders,
        Resize,
        accuracy,
        aug_transforms,
        default_split,
        get_image_files,
        imagenet_stats,
        model_meta,
        set_seed,
        vision_learner,
    )
    from safetensors.torch import load_file
    from torchvision.models import mobilenet_v2

    def backbone(weights_enum: object = None, **_: object) -> object:
        model = mobilenet_v2()
        state = load_file(weights)
        model.load_state_dict(state if "classifier.1.weight" in state else model.state_dict() | state)
        return model

    model_meta[backbone] = {"cut": -1, "split": default_split, "stats": imagenet_stats}  # as of its own networks
    set_seed(seed, reproducible=True)
    loaders = ImageDataLoaders.from_folder(
        lake,
        train="train",
        valid="val",
        item_tfms=Resize(224),
        batch_tfms=aug_transforms(),
        bs=64,
        num_workers=2,
        device=torch.device("cpu"),
    )
    learner = vision_learner(loaders, backbone, metrics=accuracy, pretrained=True)
    if how == "full":
        learner.unfreeze()  # vision_learner freezes all but the head
    start_s = time.monotonic()
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(epochs) if how == "fine_tune" else learner.fit_one_cycle(epochs)
        seconds = time.monotonic() - start_s
        files = sorted(get_image_files(lake / "test"))
        probabilities, _ = learner.get_preds(dl=loaders.test_dl(files, num_workers=2))
    told = [loaders.vocab[int(index)] for index in probabilities.argmax(1)]
    right = [name == file.parent.name for name, file in zip(told, files, strict=True)]
    out.write_text(
        json.dumps(
            {
                "epoch_s": seconds / epochs,
                "fit_s": seconds,
                "right": {str(file.relative_to(lake)): hit for file, hit in zip(files, right, strict=True)},
            }
        )
    )


if __name__ == "__main__":
    _, lake, out, weights, how, epochs, seed = sys.argv
    main(Path(lake), Path(out), Path(weights), how, int(epochs), int(seed))

"""A plain training loop: `python torchvision_job.py LAKE OUT.json WEIGHTS BLOCKS EPOCHS SEED`.

LAKE holds train, val and test with a folder a class. As in torchvision's own examples: ImageFolder, a DataLoader with
two workers, random resized crop and flip, AdamW, eager, one cycle; the last BLOCKS blocks and the head are trained
(0: all of it), the frozen ones are in evaluation mode.
"""

import json
import sys
import time
from pathlib import Path


def main(lake: Path, out: Path, weights: Path, n_blocks: int, epochs: int, seed: int) -> None:
    """Write seconds an epoch (training and validation), validation accuracies and the test answers."""
    import torch
    from safetensors.torch import load_file
    from torch import nn
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder
    from torchvision.models import mobilenet_v2
    from torchvision.transforms import v2

    torch.manual_seed(seed)
    end = [
        v2.ToImage(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ]
    varied = v2.Compose([v2.RandomResizedCrop(224, scale=(0.7, 1.0), antialias=True), v2.RandomHorizontalFlip(), *end])
    plain = v2.Compose([v2.Resize(224, antialias=True), v2.CenterCrop(224), *end])
    sets = {name: ImageFolder(lake / name, varied if name == "train" else plain) for name in ("train", "val", "test")}
    loaders = {
        name: DataLoader(some, 32, shuffle=name == "train", num_workers=2, persistent_workers=True)
        for name, some in sets.items()
    }
    model = mobilenet_v2()
    state = load_file(weights)
    model.load_state_dict({name: state.get(name, value) for name, value in model.state_dict().items()})
    model.classifier = nn.Linear(1280, len(sets["train"].classes))
    network = nn.Sequential(model.features, nn.AdaptiveAvgPool2d(1), nn.Flatten(1), model.classifier)
    frozen = list(model.features)[: len(model.features) - n_blocks] if n_blocks else []
    for block in frozen:
        block.requires_grad_(False)
    wanted = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(wanted, lr=1e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, epochs * len(loaders["train"]))

    def right(name: str) -> list[bool]:
        network.eval()
        with torch.inference_mode():
            return [hit for x, y in loaders[name] for hit in (network(x).argmax(1) == y).tolist()]

    seconds, accuracies = [], []
    for _ in range(epochs):
        start_s = time.monotonic()
        network.train()
        for block in frozen:
            block.eval()
        for x, y in loaders["train"]:
            optimizer.zero_grad()
            torch.autograd.backward(nn.functional.cross_entropy(network(x), y))
            optimizer.step()
            schedule.step()
        hits = right("val")
        accuracies.append(sum(hits) / len(hits))
        seconds.append(time.monotonic() - start_s)
    files = [str(Path(path).relative_to(lake)) for path, _ in sets["test"].samples]
    found = dict(zip(files, right("test"), strict=True))
    out.write_text(
        json.dumps({"epoch_s": min(seconds), "fit_s": sum(seconds), "val_accuracy": accuracies, "right": found})
    )


if __name__ == "__main__":
    _, lake, out, weights, n_blocks, epochs, seed = sys.argv
    main(Path(lake), Path(out), Path(weights), int(n_blocks), int(epochs), int(seed))

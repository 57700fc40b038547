"""timm's recipe for fine-tuning: `python timm_job.py LAKE OUT.json WEIGHTS EPOCHS SEED`.

LAKE holds train, val and test with a folder a class. timm's own augmentation (RandAugment, random erasing, mixup and
cutmix), label smoothing, AdamW, cosine with warm-up and averaged weights, on torchvision's MobileNetV2 with the weights
of a safetensors file: what its train script does with `--aa rand-m9-mstd0.5-t3a --reprob 0.25 --mixup 0.2 --cutmix 1
--smoothing 0.1 --opt adamw --lr 3e-4 --weight-decay 0.05 --sched cosine --warmup-epochs 1 --model-ema`.
"""

import json
import sys
import time
from pathlib import Path


def main(lake: Path, out: Path, weights: Path, epochs: int, seed: int) -> None:
    """Write seconds an epoch and the test answers: of the averaged weights of the last epoch."""
    import torch
    from safetensors.torch import load_file
    from timm.data import Mixup, create_transform
    from timm.loss import SoftTargetCrossEntropy
    from timm.optim import create_optimizer_v2
    from timm.scheduler import create_scheduler_v2
    from timm.utils import ModelEmaV3
    from torch import nn
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder
    from torchvision.models import mobilenet_v2

    torch.manual_seed(seed)
    varied = create_transform(224, is_training=True, auto_augment="rand-m9-mstd0.5-t3a", re_prob=0.25)
    plain = create_transform(224, is_training=False, interpolation="bicubic", crop_pct=0.95)
    train, test = ImageFolder(lake / "train", varied), ImageFolder(lake / "test", plain)
    batches = DataLoader(train, 32, shuffle=True, drop_last=True, num_workers=2, persistent_workers=True)
    model = mobilenet_v2()
    state = load_file(weights)
    model.load_state_dict({name: state.get(name, value) for name, value in model.state_dict().items()})
    model.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, len(train.classes)))
    mixed = Mixup(mixup_alpha=0.2, cutmix_alpha=1.0, prob=0.5, label_smoothing=0.1, num_classes=len(train.classes))
    loss_of = SoftTargetCrossEntropy()
    optimizer = create_optimizer_v2(model, opt="adamw", lr=3e-4, weight_decay=0.05, filter_bias_and_bn=True)
    schedule, _ = create_scheduler_v2(
        optimizer,
        sched="cosine",
        num_epochs=epochs,
        warmup_epochs=1,
        warmup_lr=1e-6,
        min_lr=1e-6,
        updates_per_epoch=len(batches),
        step_on_epochs=False,
    )
    averaged = ModelEmaV3(model, decay=0.998, use_warmup=True)
    n_updates, start_s = 0, time.monotonic()
    for _ in range(epochs):
        model.train()
        for x, y in batches:
            x, y = mixed(x, y)
            optimizer.zero_grad(set_to_none=True)
            loss_of(model(x), y).backward()
            optimizer.step()
            n_updates += 1
            schedule.step_update(n_updates)
            averaged.update(model, step=n_updates)
    seconds = time.monotonic() - start_s
    averaged.module.eval()
    with torch.inference_mode():
        right = [
            hit for x, y in DataLoader(test, 32, num_workers=2) for hit in (averaged.module(x).argmax(1) == y).tolist()
        ]
    files = [str(Path(path).relative_to(lake)) for path, _ in test.samples]
    out.write_text(
        json.dumps({"epoch_s": seconds / epochs, "fit_s": seconds, "right": dict(zip(files, right, strict=True))})
    )


if __name__ == "__main__":
    _, lake, out, weights, epochs, seed = sys.argv
    main(Path(lake), Path(out), Path(weights), int(epochs), int(seed))

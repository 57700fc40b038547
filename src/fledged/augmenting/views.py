"""Views of a photo: itself as it will be served, and augmented versions that training may see.

A view is decided by the shrunk copy's content and the view's number alone, so it is the same whenever and wherever it
is made: views can be cached by the copy, resumed and computed in any order.
"""

from __future__ import annotations

import hashlib

import numpy as np
import threadpoolctl
import torch

from fledged import images
from fledged.images import UInt8Array
from fledged.products import Preprocess
from fledged.recipes import Recipe

VERSION = 3  # raise when a view changes, so that cached features are computed again


def view(jpeg: bytes, how: Preprocess, number: int, recipe: Recipe) -> UInt8Array:
    """View `number` of a shrunk copy, uint8 (S, S, 3): 0 is the photo as served, the others are augmented."""
    if number == 0 or not recipe:
        return images.model_input(jpeg, how)
    # Imported here: torchvision takes a second, and who looks at photos as they are served waits for nothing.
    from fledged.augmenting.augment import augmented

    random = np.random.default_rng([number, int.from_bytes(hashlib.sha256(jpeg).digest()[:8])])
    _, image = images.decode(jpeg)
    image_CHW = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    made: UInt8Array = augmented(image_CHW, recipe, how, random).permute(1, 2, 0).numpy()
    return np.ascontiguousarray(made)


def key(number: int, recipe: Recipe) -> list[object]:
    """What tells a view from other views of the same photo; the photo as served is 0, 0 whatever the recipe."""
    return [number, VERSION, *(step.model_dump_json() for step in recipe)] if number and recipe else [0, 0]


def alone() -> None:
    """The initializer of a pool whose threads make views: each does its own work, and starts no threads for it.

    torch would start as many as there are cores for each of them. Its own setting is one for the whole process, the
    limit of OpenMP is one a thread; torch must have set its own before.
    """
    torch.get_num_threads()
    threadpoolctl.threadpool_limits(1, user_api="openmp")

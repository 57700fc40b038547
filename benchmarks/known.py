"""What was seen by eye in the real photos that the benchmarks use; nothing here is read by fledged."""

from __future__ import annotations

from itertools import combinations

# Files of birds_vs_drones that show one picture: cut out, cropped, resized, squashed, mirrored, on another ground or
# with words over it. Candidates were the pairs with similar features whose SIFT keypoints fit one affine map; each was
# looked at. The same product in another colour or from another side is not one picture, and not listed.
_ONE_PICTURE = (
    ("pic_007", "pic_664", "pic_858"),
    ("pic_096", "pic_066"),
    ("pic_457", "pic_081", "pic_076"),
    ("pic_217", "pic_075"),
    ("pic_469", "pic_509"),
    ("pic_681", "pic_743"),
    ("pic_307", "pic_237"),
    ("pic_833", "pic_647"),
    ("pic_380", "pic_154"),
    ("pic_428", "pic_067"),
    ("pic_272", "pic_003"),
    ("pic_250", "pic_710"),
    ("pic_738", "pic_869"),
    ("pic_444", "pic_486"),
    ("pic_069", "pic_026"),
    ("pic_005", "pic_036"),
    ("pic_346", "pic_060"),
)

# Pairs of sources (as planting.sources names them) whose ties are no false findings.
ALIKE = frozenset(
    frozenset(f"birds_vs_drones/drone/{name}" for name in pair)
    for group in _ONE_PICTURE
    for pair in combinations(group, 2)
)

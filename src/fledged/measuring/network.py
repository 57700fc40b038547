"""The network behind a subject, in torch: to look inside of it, which the judged file may not allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fledged.errors import ProductError
from fledged.measuring.subject import Subject
from fledged.products import WEIGHTS_FILE, Run
from fledged.workspace import Workspace

if TYPE_CHECKING:
    from fledged.networks.model import Classifier


@dataclass(frozen=True, slots=True)
class Network:
    """A run, and its classifier with its weights."""

    run: Run
    model: Classifier


def network_of(subject: Subject, workspace: Workspace) -> Network | None:
    """The network of the judged run, or that a judged bundle was made of; None where its weights are not here."""
    run = subject.run
    if run is None:
        try:
            run = workspace.load(Run, subject.run_id)
        except ProductError:
            return None
    if WEIGHTS_FILE not in run.files:
        return None
    from fledged.networks.inference import load_classifier

    return Network(run, load_classifier(run))

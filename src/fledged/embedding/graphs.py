"""The frozen part of a network as a graph: from photos to features, or onward from one cut to the next; made once."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace

import torch
from torch import nn

from fledged.embedding import engines
from fledged.embedding.features import Embedding
from fledged.engine import LOCAL, Engine
from fledged.errors import WorkspaceError
from fledged.networks import graph
from fledged.networks.model import Embedder
from fledged.products import Preprocess, Run
from fledged.sealed import bytes_if_intact, write_with_sha256
from fledged.workspace import Workspace

_LOG = logging.getLogger("fledged")


def embedding_of(name: str, module: nn.Module, how: Preprocess, workspace: Workspace, on: Engine = LOCAL) -> Embedding:
    """The feature extractor `module`, of the architecture `name`, as ONNX: from the cache or exported now."""
    key = _key(f"{name} {graph.OPSET} {how.model_dump_json()}", module)
    onnx = _onnx(key, Embedder(module, how), graph.blank_photos(how.size_px), workspace)
    return Embedding(onnx, key, how, on=on)


def frozen_of(run: Run, backbone: nn.Module, workspace: Workspace) -> Embedding:
    """The backbone of a run, with the features of its training in the cache where it was frozen.

    Where the engine of then is not here, it is the one that serves, whose numbers are the same but for the last digits.
    """
    embedding = embedding_of(run.backbone.name, backbone, run.preprocess, workspace)
    engine = run.settings.cache.engine
    if run.mode != "transfer" or engine == "auto" or not engines.is_installed(engine):
        return embedding
    return replace(embedding, engine=engine)


def onward(base: Embedding, name: str, later: nn.Module, shape: tuple[int, ...], workspace: Workspace) -> Embedding:
    """What the blocks `later` make of what `base` makes, which has this shape for a photo; `name` is of both."""
    key = _key(f"{name} {graph.OPSET} after {base.key}", later)
    return Embedding(_onnx(key, later, torch.zeros((2, *shape)), workspace), key, base.how, base, base.on)


def _key(head: str, module: nn.Module) -> str:
    digest = hashlib.sha256(head.encode())
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _onnx(key: str, module: nn.Module, inputs: torch.Tensor, workspace: Workspace) -> bytes:
    path = workspace.cache(f"onnx/{key}.onnx")
    if (kept := bytes_if_intact(path)) is not None:
        return kept
    onnx = graph.to_onnx(module, inputs, "features")
    try:
        write_with_sha256(path, onnx)
    except WorkspaceError as reason:
        _LOG.warning("The graph of the frozen part is not kept, and made again the next time: %s", reason.fact)
    return onnx

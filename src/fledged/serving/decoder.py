"""What runs in a process that decodes photos for a server: `python -m fledged.serving.decoder MEGABYTES SECONDS`.

A byte says that it is ready. Then, until its input ends: a request is `HEAD` (bytes of the preprocessing as JSON, bytes
of the photo) and both of them; an answer is `ANSWER` (what it is, bytes of it) and a tensor or a reason. It may take no
more memory than MEGABYTES, writes no file, and ends by itself where a photo takes a second more than SECONDS to
compute, so that none is left over when its server was killed.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import signal
import struct
import sys
import warnings

from fledged import images
from fledged.products import Preprocess

HEAD = struct.Struct("<IQ")
ANSWER = struct.Struct("<BQ")
READY = b"\x01"
DECODED, NOT_A_PHOTO, BAD_PHOTO = 0, 1, 2

_TOO_MUCH = b"needs more memory than a photo may take"


def main(max_megabytes: int, timeout_s: float) -> None:
    """Decode photos until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which drains and then ends this input
    answers = os.dup(1)  # libraries in C may print: not into the answers
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    _limit(max_megabytes * 2**20)
    warnings.simplefilter("ignore")
    logging.disable()
    os.write(answers, READY)
    requests = sys.stdin.buffer
    while len(head := requests.read(HEAD.size)) == HEAD.size:
        n_how, n_photo = HEAD.unpack(head)
        how, photo = requests.read(n_how), requests.read(n_photo)
        signal.setitimer(signal.ITIMER_PROF, timeout_s + 1)  # nobody handles it: it ends the process, even within C
        kind, body = _decoded(photo, how)
        signal.setitimer(signal.ITIMER_PROF, 0)
        _write(answers, ANSWER.pack(kind, len(body)) + body)


def _decoded(photo: bytes, how: bytes) -> tuple[int, bytes]:
    try:
        return DECODED, images.model_input(photo, _preprocess(how)).tobytes()
    except images.NotAPhoto as error:
        return NOT_A_PHOTO, str(error).encode()
    except images.BadPhoto as error:
        return BAD_PHOTO, str(error).encode()
    except MemoryError:
        return BAD_PHOTO, _TOO_MUCH


@functools.lru_cache(4)
def _preprocess(how: bytes) -> Preprocess:
    return Preprocess.model_validate_json(how)


def _limit(max_bytes: int) -> None:
    import resource  # not everywhere

    for what, most in ((resource.RLIMIT_AS, max_bytes), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(ValueError, OSError):  # a system that has no such limit, or a lower one already
            resource.setrlimit(what, (most, most))


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):  # the server is gone
        main(int(sys.argv[1]), float(sys.argv[2]))

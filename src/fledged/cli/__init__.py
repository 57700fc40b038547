"""The shell: parse, call one verb, print. Everything else is in the verbs."""

from __future__ import annotations

import logging
import os
import sys

from typer.exceptions import TyperException

# Imported in the order in which `fledged --help` lists their commands.
from fledged.cli import build, lake, models, looks, predict, answers  # isort: skip
from fledged.cli.app import app
from fledged.errors import FledgedError, shown

_INTERRUPTED = 130  # what Typer returns after Ctrl-C

__all__ = ["answers", "app", "build", "lake", "looks", "main", "models", "predict"]


class _Shown(logging.Formatter):
    """A line of the log, in which names of files and classes are spelled out."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The message alone; a traceback keeps its lines."""
        return "\n".join(map(shown, record.getMessage().split("\n")))


def main() -> None:
    """The entry point: every error becomes one line and exit code 2."""
    # Threads of torch otherwise spin while they wait: where anybody else needs the cores, all take twice as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    handler = logging.StreamHandler()
    handler.setFormatter(_Shown())
    logging.basicConfig(handlers=[handler], level=logging.ERROR)
    logging.getLogger("fledged").setLevel(logging.INFO)
    try:
        code = app(standalone_mode=False)
        if code == _INTERRUPTED:
            print("Stopped; what was finished is kept.", file=sys.stderr)
        sys.exit(code)
    except TyperException as error:  # a wrong flag, command or value
        words = shown(" ".join(error.format_message().split()).removesuffix("."))
        where = getattr(error, "ctx", None)  # the command whose words were wrong
        print(f"error: {words}. Help: {where.command_path if where else 'fledged'} --help", file=sys.stderr)
        sys.exit(2)
    except FledgedError as error:
        if not error.is_told:
            print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        # The reader of our output went away (`| head`): not an error of ours.
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        # What the system refused where no room has better words: a file that may not be read, a folder in its place.
        place = f" ({error.filename})" if error.filename else ""
        words = f"{error.strerror or error}{place}. Mend it, and run the same command again."
        print(f"error: {shown(' '.join(words.split()))}", file=sys.stderr)
        sys.exit(2)

"""The reviewer's desk: a snapshot, its findings and the log of decisions, on a page for this machine only."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import secrets
import sys
import threading
import warnings
import webbrowser
from collections.abc import Callable, Mapping, Sequence

from fledged import places
from fledged.products import Review, Snapshot
from fledged.reviewing.decisions import Decision
from fledged.reviewing.log import DecisionLog, as_shown
from fledged.reviewing.pictures import picture
from fledged.reviewing.queue import photo_records, queue_record
from fledged.settings.results import ServeConfig
from fledged.workspace import DEFAULT, Workspace


class Desk:
    """What the page shows and does. Photos are numbered by their row in the snapshot."""

    def __init__(self, snapshot: Snapshot, review: Review, log: DecisionLog, reviewer: str) -> None:
        self._photos = snapshot.photos()
        self._paths: list[str] = self._photos["path"].to_list()
        self._sha256: list[str | None] = self._photos["sha256"].to_list()
        self._row_of = {path: row for row, path in enumerate(self._paths)}
        self._lake = snapshot.lake
        self._log = log
        self._reviewer = reviewer
        facts = {
            "lake": places.name_of(self._lake),
            "reviewer": reviewer,
            "review": review.id,
            "labels": snapshot.labels,
        }
        self._record = facts | queue_record(self._photos, review.findings())

    @property
    def n_photos(self) -> int:
        """Photos of the snapshot."""
        return len(self._paths)

    def everything(self) -> bytes:
        """The queue and all decisions about it, as JSON."""
        state = self.changes_since(0)
        return json.dumps(self._record | state, separators=(",", ":"), allow_nan=False).encode()

    def photos_of(self, label: str) -> list[dict[str, object]]:
        """All photos in a class folder."""
        rows = (self._photos["label"] == label).arg_true().to_list()
        return photo_records(self._photos, rows)

    def picture(self, row: int, size: str) -> bytes:
        """JPEG bytes of a photo. Raises images.BadPhoto with the reason why there is none."""
        return picture(places.join(self._lake, self._paths[row]), self._sha256[row], size)

    def changes_since(self, version: int) -> dict[str, object]:
        """The state's version, and the decision of each photo that changed since an earlier one."""
        now, changed = self._log.changes_since(version)
        return {"version": now, "decisions": self._told(changed)}

    def decide(
        self, rows: Sequence[int], actions: Sequence[tuple[str, str | None]], seen: Sequence[str | None]
    ) -> bool:
        """Append a decision a photo, each (action, label); False, and nothing is written, if one was made unaware.

        `seen` names the decision that the reviewer saw for each photo, as `told` names it.
        """
        standing = self._log.follow()
        before = [standing.get(self._paths[row]) for row in rows]
        if any(_name(self._valid(decision)) != name for decision, name in zip(before, seen, strict=True)):
            return False
        decisions = [
            Decision.model_validate(
                {
                    "path": self._paths[row],
                    "action": action,
                    "label": label,
                    "reviewer": self._reviewer,
                    "sha256": self._sha256[row] or "",
                }
            )
            for row, (action, label) in zip(rows, actions, strict=True)
        ]
        return self._log.append(decisions, [as_shown(decision) for decision in before]) is not None

    def standing_of(self, rows: Sequence[int]) -> dict[str, object]:
        """What stands of some photos."""
        standing = self._log.follow()
        return self._told({self._paths[row]: standing.get(self._paths[row]) for row in rows})

    def _told(self, decisions: Mapping[str, Decision | None]) -> dict[str, object]:
        return {
            str(self._row_of[path]): told(self._valid(decision))
            for path, decision in decisions.items()
            if path in self._row_of
        }

    def _valid(self, decision: Decision | None) -> Decision | None:
        """A decision that is about this very content, and has not been taken back."""
        shown = as_shown(decision)
        if shown is None or shown.path not in self._row_of:
            return None
        now = self._sha256[self._row_of[shown.path]]
        return None if shown.sha256 and now and shown.sha256 != now else shown


def told(decision: Decision | None) -> dict[str, object] | None:
    """A decision as the page reads it; its `name` says which one a reviewer has seen."""
    if decision is None:
        return None
    return {"name": _name(decision), **decision.model_dump(include={"action", "label", "reviewer", "time"})}


def open_desk(
    review: Review | str | None = None,
    *,
    work: str | os.PathLike[str] = DEFAULT,
    reviewer: str | None = None,
    port: int = 0,
    on_ready: Callable[[str], None] = lambda url: None,
) -> None:
    """A page to decide about a review's findings, until Ctrl-C or SIGTERM; `on_ready(url)` is called once it listens.

    It listens on loopback only, and answers only who has the token in the URL. Raises ConfigError if the port is taken,
    and ProductError.
    """
    # The web stack is imported by those who open the page.
    from fledged.reviewing.app import create_app
    from fledged.serving.server import listen, make_server, stopped_by_signals

    workspace = Workspace(work)
    if not isinstance(review, Review):
        review = workspace.load(Review, review)
    snapshot = workspace.load(Snapshot, review.snapshot_id)
    config = ServeConfig(host="127.0.0.1", port=port)
    with listen(config) as listener:
        log = DecisionLog(workspace.decisions, workspace.sync_decisions)
        log.follow()  # a log that cannot be read is told before the page opens
        token = secrets.token_urlsafe(24)
        server = make_server(create_app(Desk(snapshot, review, log, reviewer or login_name()), token), config)
        with stopped_by_signals(server), warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")  # the page says what is wrong with a photo
            on_ready(f"http://127.0.0.1:{listener.getsockname()[1]}/?token={token}")
            server.run(sockets=[listener])


def login_name() -> str:
    """Who sits here, for the log."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may have no such thing
        return "somebody"


def open_browser(url: str) -> bool:
    """Show a page in the user's browser if there is a display; whether there is one."""
    display = sys.platform in ("darwin", "win32") or any(os.environ.get(d) for d in ("DISPLAY", "WAYLAND_DISPLAY"))
    if display:
        # Some browsers keep whoever opened them waiting.
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
    return display


def _name(decision: Decision | None) -> str | None:
    return None if decision is None else hashlib.sha256(decision.line()).hexdigest()[:16]

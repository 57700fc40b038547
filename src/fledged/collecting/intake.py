"""One offer into the lake, unless an earlier run has settled it; the outcome is counted and remembered."""

from __future__ import annotations

from dataclasses import dataclass

from fledged.collecting.attempts import Attempt, Attempts
from fledged.collecting.offers import Link, Photo, Refusal, Refused, refused
from fledged.collecting.store import Placed, Store, extension
from fledged.collecting.tally import Tally
from fledged.products import Split
from fledged.provenance import Provenance
from fledged.settings.lake import CollectConfig
from fledged.workspace import now
from fledged.writing import sha256_of_file

GONE = "collected earlier, and no longer in the lake"


def timestamp() -> str:
    """Now, as it is written into provenance."""
    return now().isoformat().replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Intake:
    """What is needed to take offers in."""

    store: Store
    attempts: Attempts
    tally: Tally
    config: CollectConfig
    retry_failed: bool

    @property
    def max_bytes(self) -> int:
        """Of one photo."""
        return int(self.config.max_megabytes * 2**20)

    def take_photo(self, photo: Photo) -> None:
        """Put a photo whose bytes are at hand into its class."""
        if self.tally.is_full(photo.label):
            self.tally.count(photo.label, "unneeded")
            return
        origin = Provenance(
            path="",
            engine=photo.origin,
            fetched_at=timestamp(),
            original_name=photo.name,
            group=photo.group,
            answered=photo.answered,
        )
        what = f"{photo.origin}: {photo.name}" if photo.origin else photo.name
        try:
            if self.settled_before(what, photo.key, photo.label, photo.split, origin):
                return
            data = photo.read()
            suffix = extension(data, self.max_bytes)
            if photo.answered is not None and self.store.holds(data, suffix, photo.label, photo.split):
                self.tally.count(photo.label, "known")  # and it stays what it is: no mere claim
                return
            placed = self.store.add(data, suffix, photo.label, photo.split, origin)
        except Refusal as why:
            self.tally.refuse(refused(what, photo.label, why))
            return
        self.tally.count(photo.label, "new" if placed.is_new else "known")
        if photo.key:
            self.remember(photo.key, placed, origin)

    def take_link(self, link: Link, data: bytes, suffix: str, content_type: str | None) -> Placed | None:
        """Put what an address gave into its class; None if it was refused."""
        origin = origin_of(link).model_copy(update={"content_type": content_type})
        try:
            placed = self.store.add(data, suffix, link.label, link.split, origin)
        except Refusal as why:
            self.tally.refuse(refused(link.url, link.label, why))
            return None
        self.tally.count(link.label, "new" if placed.is_new else "known")
        return placed

    def settled_before(self, what: str, key: str | None, label: str, split: Split | None, origin: Provenance) -> bool:
        """Whether an earlier run, or another class in this one, has settled this; if so it counts. Raises Refusal."""
        # A process that is killed may have no time to note an outcome; the lake knows it all the same.
        attempt = (self.attempts.of(key) or self.store.of_url(key)) if key else None
        if attempt is None:
            return False
        if attempt.outcome == "refused":
            self.tally.refuse(Refused(what, label, attempt.reason, attempt.detail))
            return True
        file = self.store.lake / (attempt.path or "")
        if not file.is_file():
            if not self.retry_failed:
                self.tally.refuse(Refused(what, label, GONE, "--retry-failed collects it again"))
            return not self.retry_failed
        sha256, path = attempt.sha256 or "", attempt.path or ""
        if path.startswith(self.store.home(label, split)):
            self.store.note(path, sha256, origin.model_copy(update={"content_type": attempt.content_type}))
            self.tally.count(label, "known")
            return True
        if sha256_of_file(file) != sha256:
            return False
        self.tally.count(label, "new" if self._copy(attempt, label, split, origin).is_new else "known")
        return True

    def remember(self, key: str, placed: Placed, origin: Provenance) -> None:
        """That this was taken in."""
        self.attempts.add(
            Attempt(
                key=key,
                outcome="fetched",
                sha256=placed.sha256,
                path=placed.path,
                content_type=origin.content_type,
                fetched_at=origin.fetched_at,
            )
        )

    def remember_refusal(self, key: str, why: Refusal) -> None:
        """That this was refused, if that will not change."""
        if not (why.again or why.by_setting):
            self.attempts.add(Attempt(key=key, outcome="refused", reason=why.reason, detail=why.detail))

    def _copy(self, attempt: Attempt, label: str, split: Split | None, origin: Provenance) -> Placed:
        """The same photo in a second class; whether that is a contradiction is for the review to say."""
        file = self.store.lake / (attempt.path or "")
        told = {"content_type": attempt.content_type, "fetched_at": attempt.fetched_at or origin.fetched_at}
        return self.store.add(
            file.read_bytes(), file.suffix.removeprefix("."), label, split, origin.model_copy(update=told)
        )


def origin_of(link: Link) -> Provenance:
    """Where a photo behind this link comes from."""
    return Provenance(
        path="",
        source_url=link.url,
        query=link.query,
        engine=link.engine,
        fetched_at=timestamp(),
        original_name=link.url.partition("?")[0].rstrip("/").rpartition("/")[2][:200] or None,
        group=link.group,
    )

"""The journal of a run: one file, one JSON object a line, only ever appended to.

Every line carries its number, a digest of itself and that of the line before it, so that a journal that was cut, edited or
thinned out is noticed and the place is named. Anyone may append outcomes; reading never decides anything.

A line is `{"seq", "prev", "kind", "at", …, "sum"}`, `sum` always last; kinds are `run` (first line: schema version, release),
`begin` and `end` of a part (with the ids that the part must answer), `outcome`, and `fact` (a named value for the report).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from gate.errors import JournalError
from gate.judge import judge
from gate.masking import Masker
from gate.model import Decision, Evidence, Finding, Outcome, Severity, Status, Verdict
from gate.policy import Policy

__all__ = ["JOURNAL", "SCHEMA_VERSION", "Journal", "Recording", "conclude", "read", "write_atomically"]

SCHEMA_VERSION = 1
# Its name in the directory of a run.
JOURNAL = "journal.jsonl"
INTEGRITY_ID = "journal.whole"
_GENESIS = "0" * 16
_LONGEST_UNSYNCED_S = 0.1
# How far the clocks of two machines may be apart.
_CLOCKS_APART = timedelta(hours=1)
_SEAL = re.compile(rb',"sum":"[0-9a-f]{16}"\}$')


class Journal:
    """Appends to a journal. Several processes may hold one open: each line is written under a lock, in one piece."""

    def __init__(self, path: Path, *, masker: Masker | None = None, now: Callable[[], datetime] | None = None) -> None:
        self.path = path
        self._masker = masker if masker is not None else Masker()
        self._now = now if now is not None else lambda: datetime.now(UTC)
        self._end = _End(size=0, seq=-1, digest=_GENESIS)
        self._synced = 0.0

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        release: Mapping[str, Any],
        expected: Iterable[str] = (),
        masker: Masker | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> Journal:
        """Starts a new journal; `release` is name, version, commit and the like, `expected` the ids that the whole run plans.

        Raises JournalError when `path` exists or cannot be made.
        """
        journal = cls(path, masker=masker, now=now)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        except OSError as error:
            if path.exists():
                raise JournalError(f"{path} exists: a journal belongs to one run; choose another directory") from None
            raise JournalError(f"{path}: cannot be created ({error.strerror})") from error
        journal._write("run", {"schema_version": SCHEMA_VERSION, "release": dict(release), "expected": sorted(expected)})
        return journal

    @contextmanager
    def part(self, name: str, *, expected: Iterable[str] = ()) -> Iterator[Journal]:
        """Marks the beginning and the end of one part of the run; `expected` are the ids that it must answer.

        A part that is left by an exception has no end, and the judge sees that.
        """
        self._write("begin", {"part": name, "expected": sorted(expected)})
        yield self
        self._write("end", {"part": name})

    def append(self, outcome: Outcome) -> None:
        self._write("outcome", {"outcome": outcome.as_json()})

    def fact(self, name: str, value: Any) -> None:
        """Records a JSON value under a name for the report; the last one of a name counts."""
        self._write("fact", {"name": name, "value": value})

    def _write(self, kind: str, content: Mapping[str, Any]) -> None:
        try:
            with self.path.open("r+b", buffering=0) as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                size = file.seek(0, os.SEEK_END)
                if size != self._end.size:
                    self._end = _tail(file.fileno(), size, self.path)
                seq, previous = self._end.seq + 1, self._end.digest
                record = {"seq": seq, "prev": previous, "kind": kind, "at": self._now().isoformat()}
                line = _sealed(record | self._masker.value(content))
                data = line.encode()
                try:
                    _write_whole(file.fileno(), data)
                    self._sync(file.fileno(), kind)
                except OSError:
                    # Half a line would make the whole journal unreadable from here on.
                    file.truncate(size)
                    raise
                self._end = _End(size=size + len(data), seq=seq, digest=line[-19:-3])
        except OSError as error:
            raise JournalError(f"{self.path}: cannot be written ({error.strerror}); what was written before is whole") from error

    def _sync(self, descriptor: int, kind: str) -> None:
        """Puts on disk what was written: all but outcomes at once, outcomes with what follows within a tenth of a second.

        A process that dies loses nothing; a machine that does loses at most the last outcomes of a part, which then has no end.
        """
        now = time.monotonic()
        if kind != "outcome" or now - self._synced >= _LONGEST_UNSYNCED_S:
            os.fsync(descriptor)
            self._synced = now


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """Where a journal ends: its size in bytes, number and digest of its last record."""

    size: int
    seq: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a run: its name, the ids it had to answer, when it began, and when it ended (None: it never did)."""

    name: str
    expected: tuple[str, ...]
    began_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A journal as it was read. `damage` names, in words, every place where it is not whole."""

    path: Path
    release: Mapping[str, Any]
    expected: tuple[str, ...]
    started_at: datetime | None
    outcomes: tuple[Outcome, ...]
    facts: Mapping[str, Any]
    parts: tuple[Part, ...]
    damage: tuple[str, ...]
    lines: int

    @property
    def planned(self) -> frozenset[str]:
        """Every id that the run or one of its parts said it would answer."""
        return frozenset(self.expected).union(*(part.expected for part in self.parts))

    def integrity(self) -> Outcome:
        """Whether the journal is whole, as an outcome of its own."""
        at = self.started_at if self.started_at is not None else datetime.fromtimestamp(0, UTC)
        if self.damage:
            return Outcome(
                id=INTEGRITY_ID,
                status=Status.ERROR,
                severity=Severity.CRITICAL,
                title="The journal is whole",
                reason="; ".join(self.damage[:3]) + (f"; and {len(self.damage) - 3} more" if len(self.damage) > 3 else ""),
                observed_at=at,
            )
        return Outcome(
            id=INTEGRITY_ID,
            status=Status.PASS,
            severity=Severity.CRITICAL,
            title="The journal is whole",
            evidence=(Evidence(label="lines in one unbroken chain", value=self.lines),),
            observed_at=at,
        )


def conclude(recording: Recording, policy: Policy, today: date) -> Verdict:
    """Judges a recording: what its parts planned must be answered, and the journal itself must be whole."""
    demanding = replace(policy.pinned(recording.planned), required=(*policy.required, INTEGRITY_ID))
    integrity = recording.integrity()
    verdict = judge((*recording.outcomes, integrity), demanding, today)
    # That a journal is whole says nothing of the release: without another pass nothing was seen.
    if verdict.passed > (integrity.status is Status.PASS) or verdict.decision is not Decision.GO:
        return verdict
    nothing = Finding(id="*", why="nothing passed: nothing seen is never GO")
    return replace(verdict, decision=Decision.HOLD, unanswered=(*verdict.unanswered, nothing))


def read(path: Path) -> Recording:
    """Reads a journal, whole or damaged.

    Raises JournalError when there is none, or when its schema version is not known: then nothing in it could be trusted.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise JournalError(f"{path}: no such journal; a run writes it, see `golive rehearse --out DIR`") from None
    except OSError as error:
        raise JournalError(f"{path}: cannot be read ({error.strerror})") from error

    damage: list[str] = []
    release: Mapping[str, Any] = {}
    expected: tuple[str, ...] = ()
    started_at: datetime | None = None
    outcomes: list[Outcome] = []
    facts: dict[str, Any] = {}
    parts: list[Part] = []
    expected_seq, previous = 0, _GENESIS
    lines = raw.split(b"\n")
    if lines and lines[-1] == b"":
        lines.pop()
    elif lines:
        damage.append(f"line {len(lines)} is cut: it does not end")

    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            seq, kind, at = int(record["seq"]), record["kind"], _moment(record["at"])
            digest = _digest_of(line)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            why = "it ends as lines do on Windows" if line.endswith(b"\r") else "cut in the middle?"
            damage.append(f"line {number} is not a record of a journal ({why})")
            expected_seq, previous = expected_seq + 1, ""
            continue
        if record["sum"] != digest:
            damage.append(f"line {number} was changed after it was written")
        if seq > expected_seq:
            damage.append(f"line {number}: records {expected_seq} to {seq - 1} are missing before it")
        elif seq < expected_seq:
            damage.append(f"line {number}: record {seq} is out of order")
        elif previous and record.get("prev") != previous:
            damage.append(f"line {number} does not follow the record before it: one of them was put in afterwards")
        expected_seq, previous = seq + 1, str(record["sum"])
        try:
            if kind == "run" and started_at is not None:
                damage.append(f"line {number}: another run begins here; two journals were put together")
            elif kind == "run":
                if record["schema_version"] != SCHEMA_VERSION:
                    raise JournalError(
                        f"{path}: schema_version {record['schema_version']!r} is not known here, only {SCHEMA_VERSION}"
                    )
                release, expected, started_at = dict(record["release"]), _ids(record["expected"]), at
            elif kind == "begin":
                parts.append(Part(name=record["part"], expected=_ids(record["expected"]), began_at=at))
            elif kind == "end":
                _end(parts, record["part"], at)
            elif kind == "outcome":
                outcomes.append(Outcome.from_json(record["outcome"]))
            elif kind == "fact":
                facts[record["name"]] = record["value"]
            else:
                damage.append(f"line {number}: kind {kind!r} is not known")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            damage.append(f"line {number}: {kind} record is not well formed ({error})")

    if started_at is None:
        damage.insert(0, "the first record, which names the release, is missing")
    elif started_at > datetime.now(UTC) + _CLOCKS_APART:
        damage.append(f"it begins at {started_at.isoformat(timespec='seconds')}, which is still to come: a clock is wrong")
    damage += [f"part {part.name!r} began and never ended" for part in parts if part.ended_at is None]
    return Recording(
        path=path,
        release=release,
        expected=expected,
        started_at=started_at,
        outcomes=tuple(outcomes),
        facts=facts,
        parts=tuple(parts),
        damage=tuple(damage),
        lines=len(lines),
    )


def write_atomically(path: Path, text: str) -> None:
    """Replaces a file in one step: readers see the old text or the new one. Raises JournalError with the file and the cause."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Half a surrogate pair is shown as its escape, which in JSON is what it stands for.
        with temporary.open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise JournalError(f"{path}: cannot be written ({error.strerror})") from error


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment


def _ids(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("the planned ids are not a list of texts")
    return tuple(value)


def _write_whole(descriptor: int, data: bytes) -> None:
    if os.write(descriptor, data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _end(parts: list[Part], name: str, at: datetime) -> None:
    for index in reversed(range(len(parts))):
        if parts[index].name == name and parts[index].ended_at is None:
            parts[index] = replace(parts[index], ended_at=at)
            return
    raise ValueError(f"part {name!r} ends without having begun")


def _sealed(record: Mapping[str, Any]) -> str:
    """The record as a line whose last member is the digest of everything before it."""
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))[:-1]
    # Half a surrogate pair, which JSON of the world may hold and UTF-8 may not, becomes its escape in JSON.
    text = text.encode(errors="backslashreplace").decode()
    return f'{text},"sum":"{_digest(text.encode())}"}}\n'


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _digest_of(line: bytes) -> str:
    """The digest that a line should carry. Raises ValueError for a line that carries none."""
    found = _SEAL.search(line)
    if found is None:
        raise ValueError("the line has no digest")
    return _digest(line[: found.start()])


def _tail(descriptor: int, size: int, path: Path) -> _End:
    """Raises JournalError when the last line is not whole."""
    if size == 0:
        return _End(size=0, seq=-1, digest=_GENESIS)
    block = 65_536
    while True:
        start = max(0, size - block)
        data = os.pread(descriptor, size - start, start)
        if not data.endswith(b"\n"):
            raise JournalError(f"{path}: the last line is cut; this journal cannot be continued")
        begin = data.rfind(b"\n", 0, -1)
        if begin >= 0 or start == 0:
            line = data[begin + 1 : -1]
            break
        block *= 4
    try:
        record = json.loads(line)
        return _End(size=size, seq=int(record["seq"]), digest=str(record["sum"]))
    except (ValueError, KeyError, TypeError) as error:
        raise JournalError(f"{path}: the last line is not a record; this journal cannot be continued") from error

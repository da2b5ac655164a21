"""Finds secrets in bytes by rules, and tells of them by rule and place, never by value.

Text without a rule's keywords is never searched with its regex, and a text with one only around it: that is what makes a scan
quick. What is encoded is decoded first: UTF-16, base64 of text, archives (see `gate.facts.secret_places`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from gate.facts.allowances import Allowance
from gate.facts.secret_rules import Allowlist, Rule, Rules, load

__all__ = ["Found", "Scanner"]

MARKER = b"golive:allow"
# A finding that is allowed in its own line, or in the one above: `golive:allow rule-id: the reason`.
_MARKED = re.compile(rb"golive:allow\s+([a-z0-9*-]+)\s*[:\-]*\s*([^\n\r]*)")
_SHORTEST_REASON = 8
_BEFORE, _AFTER = 64, 1600
_BASE64_LINES = re.compile(rb"(?:[A-Za-z0-9+/]{60,76}\r?\n[ \t]*){1,4000}[A-Za-z0-9+/]{1,76}={0,2}")
_SHORTEST_LINE = 60
_TEXTUAL = re.compile(rb"[\x09\x0a\x0d\x20-\x7e]+")
_LONGEST_LINE = 4096
_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"),
)  # fmt: skip
_DIGEST_LENGTH = 8
# Bytes of which tokens are made become one letter, all others end a run: then a run is found as quickly as a word.
_IN_RUN = bytes(97 if chr(code).isascii() and (chr(code).isalnum() or chr(code) in "+/_.=$:-") else 10 for code in range(256))
_IN_BASE64 = bytes(97 if chr(code).isascii() and (chr(code).isalnum() or chr(code) in "+/_-") else 10 for code in range(256))
_SHORTEST_RUN, _SHORTEST_BASE64 = 16, 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One secret. `digest`, keyed and short, names the value to who has it and gives it to nobody. `allowed` is the reason."""

    path: str
    line: int
    rule: str
    what: str
    digest: str
    allowed: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what} ({self.rule}, {self.digest})"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hit:
    start: int
    end: int
    rule: Rule
    value: bytes = field(repr=False)


class Scanner:
    """Scans one text after the other. `key` makes the digests differ from those of everybody else's scans."""

    def __init__(self, rules: Rules | None = None, *, allowances: Iterable[Allowance] = (), key: bytes = b"golive") -> None:
        self.rules = rules if rules is not None else load()
        self.allowances = tuple(allowances)
        self.used: set[Allowance] = set()
        self._key = key
        self._order = {rule.id: number for number, rule in enumerate(self.rules.rules)}
        self._in_runs: dict[bytes, list[Rule]] = {}
        self._anywhere: dict[bytes, list[Rule]] = {}
        for rule in self.rules.rules:
            for word in rule.keywords:
                (self._in_runs if rule.token else self._anywhere).setdefault(word, []).append(rule)
        self._rules = {rule.id: rule for rule in self.rules.rules}
        self._by_path: dict[tuple[str, str], bool] = {}

    def scan(self, data: bytes, path: str) -> list[Found]:
        """Every secret in `data`, in order, the allowed ones too. `path` is told, and rules for certain files ask for it."""
        text, binary = _as_text(data)
        hits = self._hits(text, path, binary=binary)
        spans = [(hit.start, hit.end) for hit in hits]
        if not binary:
            for start, end, decoded in _decoded(text):
                # What a rule has already found as it stands needs no second name.
                if any(first < end and start < last for first, last in spans):
                    continue
                inner = self._hits(decoded, path, binary=False)[:1]
                hits += [_Hit(start=start, end=end, rule=hit.rule, value=hit.value) for hit in inner]
        marked, line, counted = MARKER in text, 1, 0
        found = []
        for hit in sorted(hits, key=lambda hit: (hit.start, self._order[hit.rule.id])):
            line += text.count(b"\n", counted, hit.start)
            counted = hit.start
            found.append(self._found(path, line, hit, _marker_at(text, hit) if marked else None))
        return list(dict.fromkeys(found))

    def _hits(self, text: bytes, path: str, *, binary: bool) -> list[_Hit]:
        lowered = text.lower()
        places: dict[str, list[int]] = {}
        for word, rules in self._anywhere.items():
            applying = [rule for rule in rules if self._applies(rule, path, binary=binary)]
            if applying and (found := list(_places(lowered, word))):
                for rule in applying:
                    places.setdefault(rule.id, []).extend(found)
        starts, runs, offsets = _runs(lowered)
        for word, rules in self._in_runs.items():
            for place in _places(runs, word):
                run = bisect_right(offsets, place) - 1
                for rule in rules:
                    places.setdefault(rule.id, []).append(starts[run] + place - offsets[run])
        taken: list[tuple[int, int]] = []
        hits: list[_Hit] = []
        for identifier in sorted(places, key=self._order.__getitem__):
            rule = self._rules[identifier]
            for match in _matches(rule, text, sorted(places[identifier])):
                group = rule.group if match[rule.group] is not None else 0
                start, end = match.span(group)
                if any(first < end and start < last for first, last in taken) or not self._counts(rule, match[group], path):
                    continue
                taken.append((start, end))
                hits.append(_Hit(start=start, end=end, rule=rule, value=match[group]))
        return hits

    def _applies(self, rule: Rule, path: str, *, binary: bool) -> bool:
        if binary and rule.text:
            return False
        if rule.path is None:
            return True
        known = self._by_path.get((rule.id, path))
        if known is None:
            known = self._by_path[rule.id, path] = rule.path.search(path) is not None
        return known

    def _counts(self, rule: Rule, value: bytes, path: str) -> bool:
        lists: tuple[Allowlist, ...] = (*rule.allowlists, *self.rules.allowlists)
        return (rule.entropy <= 0 or _entropy(value) >= rule.entropy) and not any(one.allows(value, path) for one in lists)

    def _found(self, path: str, line: int, hit: _Hit, marker: re.Match[bytes] | None) -> Found:
        found = Found(
            path=path,
            line=line,
            rule=hit.rule.id,
            what=hit.rule.description,
            digest=hmac.new(self._key, hit.value, hashlib.sha256).hexdigest()[:_DIGEST_LENGTH],
        )
        return self._allowed(found, marker)

    def _allowed(self, found: Found, marker: re.Match[bytes] | None) -> Found:
        if marker is not None and marker[1].decode() in ("*", found.rule):
            reason = marker[2].decode(errors="replace").strip(" \t*/-#<>!\"',")
            if len(reason) >= _SHORTEST_REASON:
                return replace(found, allowed=reason)
            return replace(found, what=f"{found.what}, allowed without a reason")
        for allowance in self.allowances:
            if allowance.covers(rule=found.rule, path=found.path, digest=found.digest):
                self.used.add(allowance)
                return replace(found, allowed=allowance.reason)
        return found


def _marker_at(text: bytes, hit: _Hit) -> re.Match[bytes] | None:
    began = text.rfind(b"\n", 0, hit.start)
    above = text.rfind(b"\n", 0, max(began, 0))
    ended = text.find(b"\n", hit.end)
    ended = len(text) if ended < 0 else ended
    if ended - above > _LONGEST_LINE:
        # One marker must not speak for a whole minified file.
        return None
    return _MARKED.search(text, above + 1, ended)


def _matches(rule: Rule, text: bytes, places: list[int]) -> Iterator[re.Match[bytes]]:
    if rule.anchored:
        reached, match_at = 0, rule.regex.match
        for place in places:
            if place >= reached and (match := match_at(text, place)) is not None:
                reached = match.end()
                yield match
        return
    reached = 0
    for start, end in _merged(places):
        for match in rule.regex.finditer(text, max(start, reached), end):
            reached = match.end()
            yield match


def _merged(places: list[int]) -> Iterator[tuple[int, int]]:
    start, end = max(places[0] - _BEFORE, 0), places[0] + _AFTER
    for place in places[1:]:
        if place - _BEFORE <= end:
            end = max(end, place + _AFTER)
        else:
            yield start, end
            start, end = place - _BEFORE, place + _AFTER
    yield start, end


def _entropy(value: bytes) -> float:
    """Shannon's, in bits a character."""
    size = len(value)
    return -sum(count / size * math.log2(count / size) for count in Counter(value).values()) if size else 0.0


def _as_text(data: bytes) -> tuple[bytes, bool]:
    """UTF-16 and UTF-32 as UTF-8; and whether it is binary: then only what has a shape of its own is looked for."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _as_utf8(data, encoding), False
    head = data[:8192]
    zeros = head.count(b"\0")
    if not zeros:
        return data, False
    # Without a mark, text in Latin letters has every second byte zero.
    if zeros > len(head) * 0.35:
        even = head[0::2].count(b"\0") * 2 / len(head)
        odd = head[1::2].count(b"\0") * 2 / len(head)
        if max(even, odd) > 0.7 and min(even, odd) < 0.1:
            return _as_utf8(data, "utf-16-le" if odd > even else "utf-16-be"), False
    return data, True


def _as_utf8(data: bytes, encoding: str) -> bytes:
    return data.decode(encoding, errors="replace").encode("utf-8", errors="replace")


def _places(text: bytes, word: bytes) -> Iterator[int]:
    place = text.find(word)
    while place >= 0:
        yield place
        place = text.find(word, place + len(word))


def _long(mask: bytes, least: int) -> Iterator[tuple[int, int]]:
    """Where runs of at least so many letters begin and end."""
    needle, end = b"a" * least, 0
    while (start := mask.find(needle, end)) >= 0:
        end = mask.find(b"\n", start)
        end = len(mask) if end < 0 else end
        yield start, end


def _runs(text: bytes) -> tuple[list[int], bytes, list[int]]:
    """Long runs of what tokens are made of: where each begins, all of them with a line each, and where each begins in that."""
    places = list(_long(text.translate(_IN_RUN), _SHORTEST_RUN))
    offsets, offset = [], 0
    for start, end in places:
        offsets.append(offset)
        offset += end - start + 1
    return [start for start, _ in places], b"\n".join(text[start:end] for start, end in places), offsets


def _decoded(text: bytes) -> Iterator[tuple[int, int, bytes]]:
    """What stands in base64, in one piece or in lines as MIME and PEM write it."""
    joined = 0
    for start, run_end in _long(text.translate(_IN_BASE64), _SHORTEST_BASE64):
        if start < joined:
            continue
        end, plain = run_end, text[start:run_end]
        if end - start >= _SHORTEST_LINE and (lines := _BASE64_LINES.match(text, start)):
            joined = end = lines.end()
            plain = lines[0].translate(None, b"\r\n \t=")
        # Most of what is long is a digest, a name or a picture: the first bytes tell.
        if not _TEXTUAL.fullmatch(_base64(plain[:48])):
            continue
        decoded = _base64(plain)
        if _TEXTUAL.fullmatch(decoded[:1024]):
            yield start, end, decoded


def _base64(text: bytes) -> bytes:
    text = text.translate(_URL_SAFE)
    return base64.b64decode(text + b"=" * (-len(text) % 4)) if len(text) % 4 != 1 else base64.b64decode(text[:-1])


_URL_SAFE = bytes.maketrans(b"-_", b"+/")

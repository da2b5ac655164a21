"""JSON with patterns against JSON as it was answered."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.expectations import Mismatch
from features.expressions import StepError
from features.matching import differences, expect_json

DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet="ab", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet="xy", max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(DOCUMENTS)
def test_a_document_matches_itself(document: Any) -> None:
    assert list(differences(document, document)) == []


@given(DOCUMENTS, DOCUMENTS)
def test_two_documents_match_both_ways_only_when_they_are_equal(one: Any, other: Any) -> None:
    alike = not [*differences(one, other), *differences(other, one)]
    assert alike is (json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True))


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("any", 0, None),
        ("string", "x", ""),
        ("int", 3, True),
        ("number", 1.5, "1.5"),
        ("bool", False, 0),
        ("uuid", "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "3f25"),
        ("time", "2026-11-22T10:00:00+00:00", "yesterday"),
        ("phone", "5511987654321", "12"),
    ],
)
def test_a_pattern_takes_values_of_its_kind_alone(kind: str, good: Any, bad: Any) -> None:
    pattern = {"a": f"{{{kind}}}"}
    assert list(differences(pattern, {"a": good, "more": 1})) == []
    [(path, expected, _)] = differences(pattern, {"a": bad})
    assert (path, expected) == ("$.a", f"{{{kind}}}")


def test_each_difference_is_told_with_its_path_and_the_request() -> None:
    pattern = '{"status": "qr", "events": [{"id": "{uuid}"}], "phone": "{phone}"}'
    with pytest.raises(Mismatch) as caught:
        expect_json(pattern, {"status": "open", "events": [{"id": 7}]}, what="GET /status", request_id="r-1")
    assert str(caught.value) == (
        'GET /status: expected $.status "qr"; $.events[0].id {uuid}; $.phone "{phone}", '
        'saw $.status "open"; $.events[0].id 7; $.phone nothing (request r-1)'
    )


@pytest.mark.parametrize(("pattern", "said"), [("{", "cannot be read"), ('{"a": "{phon}"}', "phon")])
def test_a_pattern_that_cannot_be_meant_is_refused(pattern: str, said: str) -> None:
    with pytest.raises(StepError, match=said):
        expect_json(pattern, {"a": "x"}, what="answer")

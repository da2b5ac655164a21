"""What the text of a step may say."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.expressions import Expression, StepError, chosen, parameter_type, parameter_types, value_of

TWINS = {"phone": "telefone", "duration": "duração", "times": "vezes", "money": "dinheiro", "instance": "instância"}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("phone", "5511987654321", "5511987654321"),
        ("phone", "(11) 98765-4321", "5511987654321"),
        ("phone", "+55 (11) 98765-4321", "5511987654321"),
        ("phone", "11 3456-7890", "551134567890"),
        ("phone", "+1 415 555 2671", "14155552671"),
        ("duration", "5 seconds", 5.0),
        ("duration", "1 segundo", 1.0),
        ("duration", "1,5 s", 1.5),
        ("duration", "300 ms", 0.3),
        ("duration", "6 minutos", 360.0),
        ("duration", "25 hours", 90_000.0),
        ("duration", "2 dias", 172_800.0),
        ("times", "once", 1),
        ("times", "duas vezes", 2),
        ("times", "8 times", 8),
        ("money", "R$ 1.234,56", Decimal("1234.56")),
        ("money", "R$ 5", Decimal(5)),
        ("money", "-R$ 0,50", Decimal("-0.50")),
        ("jid", "5511987654321@s.whatsapp.net", "5511987654321@s.whatsapp.net"),
        ("jid", "120363041234567890@g.us", "120363041234567890@g.us"),
        (
            "instance",
            "unit_3f2504e0-4f89-41d3-9a0c-0305e82c3301",
            "unit_3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        ),
    ],
)
def test_each_kind_of_value_is_read_in_the_forms_of_the_field(kind: str, text: str, value: Any) -> None:
    for name in (kind, TWINS.get(kind, kind)):
        assert value_of(name, text) == value
        assert Expression(f"it takes {{{name}}} here").values(f"it takes {text} here") == [value]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("phone", "12345"),
        ("phone", "(00) 98765-4321"),
        ("duration", "5 parsecs"),
        ("duration", "seconds"),
        ("money", "R$ 12.34"),
        ("money", "1.234,56"),
        ("jid", "5511987654321@example.com"),
        ("instance", "unit_1"),
    ],
)
def test_what_has_another_form_is_no_such_value(kind: str, text: str) -> None:
    with pytest.raises(StepError, match=re.escape(f"is no {{{kind}}}")):
        value_of(kind, text)


def test_the_names_in_both_languages_take_the_same() -> None:
    known = parameter_types()
    assert {known[english] == known[portuguese] for english, portuguese in TWINS.items()} == {True}


def test_no_pattern_needs_a_backslash_which_editors_would_read_otherwise() -> None:
    assert [name for name, pattern in parameter_types().items() if "\\" in pattern] == []


@pytest.mark.parametrize(
    ("expression", "text", "values"),
    [
        ("the answer is {int}", "the answer is 201", [201]),
        ("{duration} pass/passes", "1 minute passes", [60.0]),
        ("he says {string} {times}", 'he says "a \\"b\\"" twice', ['a "b"', 2]),
        ("it works", "it works", []),
        ("it works", "it works not", None),
        ("the answer is {int}", "the answer is yes", None),
        ("the answer is {int}", "an answer is 1", None),
        ("pass/passes", "passes", []),
    ],
)
def test_an_expression_matches_whole_texts(expression: str, text: str, values: list[Any] | None) -> None:
    assert Expression(expression).values(text) == values
    assert Expression(expression).matches(text) is (values is not None)


@given(st.text(alphabet="ab {}/", max_size=12), st.text(alphabet="ab /1", max_size=12))
def test_the_short_cut_by_the_beginning_decides_as_the_whole_expression_does(source: str, text: str) -> None:
    expression = Expression(source)
    try:
        whole = expression.compiled.match(text) is not None
    except StepError:
        return
    assert expression.matches(text) is whole


@pytest.mark.parametrize(
    "text",
    [
        'he says "a \\"b\\" c" twice to 11 98765-4321',
        "he says 'it' 3 times to +55 (11) 98765-4321",
        'he says "" once to 1133334444',
    ],
)
def test_values_are_those_that_the_library_of_cucumber_expressions_finds(text: str) -> None:
    expression = Expression("he says {string} {times} to {phone}")
    found = expression.compiled.match(text)
    assert found is not None
    assert expression.values(text) == [argument.value for argument in found]


def test_a_word_that_a_step_does_not_know_is_told_with_those_it_knows() -> None:
    assert chosen({"a picture": 1, "a text": 2}, "a text") == 2
    with pytest.raises(StepError, match="'Ana' is none of 'a picture', 'a text'"):
        chosen({"a picture": 1, "a text": 2}, "Ana")


def test_an_unknown_kind_is_one_clear_line() -> None:
    with pytest.raises(StepError, match="fone"):
        Expression("the {fone} rings").matches("the x rings")


@pytest.mark.parametrize("pattern", ["\\d+", "(a)", "[", "a(b)"])
def test_a_pattern_that_an_editor_reads_otherwise_is_refused(pattern: str) -> None:
    with pytest.raises(StepError, match="parameter type {odd}"):
        parameter_type(name="odd", regexp=pattern)


def test_a_kind_may_be_defined_twice_alike_and_not_otherwise() -> None:
    parameter_type(name="colour-of-test", regexp="red|green")
    parameter_type(name="colour-of-test", regexp="red|green")
    with pytest.raises(StepError, match="colour-of-test"):
        parameter_type(name="colour-of-test", regexp="red|blue")

"""The settings that are documented are the ones that the code reads.

Why: a setting that is documented under one name and read under another is set, and has no effect: the default is used in silence.
Fix: let code, example file and deployment use the one name that the reason suggests.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from gate.errors import Failure, Inconclusive
from gate.facts import environment
from gate.facts.code import Code
from gate.facts.subject import Subject
from gate.facts.tree import SourceTree
from gate.model import Evidence
from gate.registry import check

# What every deployment has to set, whatever else its own example documents.
ALWAYS = ("EVOLUTION_API_URL", "EVOLUTION_API_KEY", "JWT_ACCESS_SECRET", "JWT_REFRESH_SECRET", "BASE_URL")


@check(order=72)
def run(subject: Subject, code: Code) -> Iterator[Evidence]:
    rules = subject.environment_rules
    written = environment.documented(subject)
    documented = {*(ALWAYS if rules.contract else ()), *written}
    read = code.settings - set(rules.undocumented)
    if subject.name and not written:
        some = ", ".join(sorted(read - documented)[:5]) or "no setting of its own"
        raise Inconclusive(f"the code reads {some}, and no documented settings were given (environment.example)")
    faults = []
    # A name of one word, such as PORT, is not told from any other word in code.
    for name in sorted(name for name in documented - code.words if "_" in name):
        close = get_close_matches(name, sorted(code.words - documented), n=1, cutoff=0.8)
        faults.append(f"{name} is documented and nowhere in the code" + (f", which reads {close[0]}" if close else ""))
    for name in sorted(read - documented):
        close = get_close_matches(name, sorted(documented), n=1, cutoff=0.85)
        if close:
            faults.append(f"{name} is read by the code and documented nowhere; did you mean {close[0]}?")
        elif written:
            faults.append(f"{name} is read by the code and documented nowhere")
    if faults:
        raise Failure("; ".join(faults))
    yield Evidence(label="documented settings that the code knows", value=len(documented))
    yield Evidence(label="source files looked through", value=code.files)


@run.breaks
def read_under_another_name(tree: SourceTree) -> None:
    tree.rename("EVOLUTION_API_KEY", "EVOLUTION_APIKEY")


@run.breaks
def a_second_name_for_one_setting(tree: SourceTree) -> None:
    tree.append("evolution-provider", "import os\n\n_URL = os.environ.get('EVOLUTION_API_URLS')")

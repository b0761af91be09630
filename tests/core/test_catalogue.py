"""The page docs/catalogue.md lists all that a recipe may name, in the words of the code itself.

``python -m tests.core.test_catalogue > docs/catalogue.md`` writes it anew.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plait import losses
from plait.encoders import ENCODERS
from plait.fusion import FUSIONS
from plait.objectives import OBJECTIVES
from plait.pairs.pairing import PAIRINGS
from plait.pairs.samplers import SAMPLERS

ROOT = Path(__file__).parents[2]


def first_sentence(thing: Any) -> str:
    """The first paragraph of a docstring, on one line, ready for a table."""
    paragraph = (inspect.getdoc(thing) or "").partition("\n\n")[0]
    return " ".join(paragraph.split()).rstrip(":").replace("|", "\\|")


def families() -> dict[str, dict[str, Any]]:
    """The objectives by the branches of the survey, as objectives/__init__.py has them."""
    text = (ROOT / "core/plait/objectives/__init__.py").read_text()
    found: dict[str, dict[str, Any]] = {}
    family = ""
    for line in text.partition("OBJECTIVES: dict")[2].partition("}")[0].splitlines():
        if comment := re.match(r"    # (.*)\.", line):
            family = comment[1]
        elif kind := re.match(r'    "(\w+)"', line):
            found.setdefault(family, {})[kind[1]] = OBJECTIVES[kind[1]]
    return found


def table(things: Mapping[str, Any]) -> str:
    lines = ["| kind | what it is | where |", "| --- | --- | --- |"]
    for kind, thing in things.items():
        place = thing.__module__.replace(".", "/")
        lines.append(f"| `{kind}` | {first_sentence(thing)} | `core/{place}.py` |")
    return "\n".join(lines)


def page() -> str:
    views = "A view such as `image:2` is a second, independently augmented view of a modality."
    parts = [
        "# Catalogue\n\nAll that a recipe may name. This page is made from the code; a test holds it to it.",
        f"## Objectives\n\nIn a recipe: `objectives: [{{kind: info_nce, of: [image, text], weight: 1.0}}]`. {views}",
    ]
    parts += [f"### {family}\n\n{table(things)}" for family, things in families().items()]
    parts.append(
        f"## Fusions\n\nIn a recipe: `model.fusion`. Each runs with any subset of modalities.\n\n{table(FUSIONS)}"
    )
    parts.append(f"## Encoders of the core\n\nIn a recipe: `model.encoders`. Apps add their own.\n\n{table(ENCODERS)}")
    parts.append(f"## Pairing\n\nIn a recipe: `pairing`.\n\n{table(PAIRINGS)}")
    parts.append(f"## Batches\n\nIn a recipe: `batches`.\n\n{table(SAMPLERS)}")
    functions = {name: getattr(losses, name) for name in losses.__all__}
    parts.append(f"## Losses\n\nPure functions of tensors, `plait.losses`.\n\n{table(functions)}")
    return "\n\n".join(parts) + "\n"


def test_the_page_is_what_the_code_says() -> None:
    assert (ROOT / "docs/catalogue.md").read_text() == page(), "python -m tests.core.test_catalogue > docs/catalogue.md"


def test_every_kind_says_what_it_is_and_where_it_comes_from() -> None:
    for kind, objective in OBJECTIVES.items():
        assert len(first_sentence(objective)) > 20, kind
        assert re.search(r"\b(19|20)\d\d\b|C\d+", inspect.getdoc(objective) or ""), f"{kind} names no paper"


def test_every_objective_is_in_one_family() -> None:
    assert [kind for things in families().values() for kind in things] == list(OBJECTIVES)


if __name__ == "__main__":
    print(page(), end="")

"""``plait systems``: the published systems that Plait follows, and what it has of each.

The list is data (``systems.yaml``) and is read without anything heavy, so that it answers at once.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from json import dumps
from pathlib import Path

import yaml

from plait.errors import InputError

STATUSES = ("recipe", "parts", "not reproduced")


@dataclass(frozen=True, kw_only=True)
class System:
    """One published system.

    Attributes:
        number: its place in the list, from 1.
        name: as it is known.
        title: of its paper.
        year: of publication.
        section: of the list.
        status: one of `STATUSES`.
        parts: what of it the core has, each as ``place:name``; see the head of ``systems.yaml``.
        recipe: the recipe that runs it, where the status says so.
        note: what differs from the paper, or is missing.
    """

    number: int
    name: str
    title: str
    year: int
    section: str
    status: str
    parts: list[str]
    recipe: str | None
    note: str


def systems(name: str | None, json: bool, markdown: bool) -> int:
    """Print the list, or one system whole; raises `InputError` for a name that is not on it."""
    found = read_systems()
    if name is not None:
        found = [_named(found, name)]
    if json:
        print(dumps([asdict(system) for system in found], indent=1, ensure_ascii=False))
    elif markdown:
        print(page(found), end="")
    elif name is not None:
        print(_whole(found[0]))
    else:
        print(_table(found))
    return 0


def read_systems() -> list[System]:
    """The list, in its order."""
    text = Path(__file__).with_name("systems.yaml").read_text(encoding="utf-8")
    return [System(**entry) for entry in yaml.safe_load(text)]


def page(found: Sequence[System]) -> str:
    """The list as a page of Markdown."""
    lines = [_HEAD.format(total=_counts(found))]
    for section, members in _sections(found).items():
        lines += [f"\n## {section[0].upper()}{section[1:]}: {_counts(members)}\n"]
        lines += ["| # | system | in Plait | of | what differs, or is missing |", "| --- | --- | --- | --- | --- |"]
        for system in members:
            here = f"`{system.recipe}`" if system.recipe else system.status
            parts = ", ".join(f"`{part}`" for part in system.parts)
            named = f"**{system.name}** ({system.year}): {system.title}"
            lines.append(f"| {system.number} | {named} | {here} | {parts} | {system.note} |")
    return "\n".join(lines) + "\n"


def _table(found: Sequence[System]) -> str:
    lines = [f"{'#':>3}  {'system':<30}{'status':<16}{'recipe':<18}parts"]
    for section, members in _sections(found).items():
        lines.append(f"\n{section}: {_counts(members)}")
        for system in members:
            said = f"{system.number:>3}  {system.name:<30}{system.status:<16}{system.recipe or '':<18}"
            lines.append((said + ", ".join(system.parts)).rstrip())
    return "\n".join([*lines, "", f"all: {_counts(found)}", "'plait systems NAME' says what differs from the paper."])


def _whole(system: System) -> str:
    lines = [f"{system.number}. {system.name}: {system.title} ({system.year})", f"section: {system.section}"]
    lines += [f"status:  {system.status}", f"parts:   {', '.join(system.parts) or 'none'}"]
    if system.recipe:
        lines.append(f"recipe:  {system.recipe} ('plait recipes show {system.recipe}')")
    return "\n".join([*lines, f"note:    {system.note}"])


def _sections(found: Sequence[System]) -> Mapping[str, list[System]]:
    """Section to its systems, both in the list's order."""
    order = list(dict.fromkeys(system.section for system in found))
    together = sorted(found, key=lambda system: order.index(system.section))
    return {section: list(members) for section, members in groupby(together, key=lambda system: system.section)}


def _counts(found: Sequence[System]) -> str:
    """How many systems there are, in all and of each status."""
    of = Counter(system.status for system in found)
    each = ", ".join(f"{status} {of[status]}" for status in STATUSES if of[status])
    return f"{len(found)} ({each})"


def _named(found: Sequence[System], name: str) -> System:
    wanted = {system.name.casefold(): system for system in found}
    if name.casefold() in wanted:
        return wanted[name.casefold()]
    near = difflib.get_close_matches(name.casefold(), wanted, n=1)
    hint = f"did you mean '{wanted[near[0]].name}'?" if near else "'plait systems' lists all."
    raise InputError(f"There is no system '{name}' on the list: {hint}")


_HEAD = """# Published systems

What Plait has of every system on the list of the survey of self-supervised multimodal learning (Zong et al., IEEE
TPAMI), by its sections, and of one beside it. In all: {total}.
`plait systems --markdown` prints this page.

```sh
plait systems             # the list
plait systems CLIP        # one of them, whole
plait systems --json      # for programs
plait recipes show clip   # what runs it
```

* A **recipe** runs the system's mechanism on one of Plait's domains, which is seldom the paper's own; the last column
  says what differs. Recipes are small enough to be trained from scratch on a CPU. Their numbers are nobody's result:
  none is tuned, except where the recipe says so, and none reproduces a figure of its paper.
* Of a system in **parts** the core has what is named, and a recipe of your own can join it; the last column says what
  is missing.
* A name such as `objective:info_nce` is what a recipe calls it: the kind `info_nce` of an objective. `evaluation:`
  names a function of `plait.evaluation`, `verb:` what `plait <app>` does.
* A recipe whose losses never look at the shared space (masked prediction, captioning) leaves its projections as they
  were made: probe its features, for its retrieval says nothing."""

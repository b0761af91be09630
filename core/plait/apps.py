"""What a domain brings to the shared core: an `App`, found by its entry point.

An app is one object in the group ``plait.apps`` of a distribution's entry points. The core never imports
one by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from plait.encoders.features import Encoder
from plait.errors import InputError
from plait.evaluation.measurement import Measurement
from plait.objectives.objective import Objective
from plait.pairs.dataset import Augment, Loader
from plait.pairs.examine import Examine
from plait.pairs.layout import Layout
from plait.pairs.table import PairTable
from plait.recipes import Recipe
from plait.subjects import Subject


class Featurizer(Protocol):
    """A scikit-learn transformer over a list of loaded samples of one modality."""

    def fit(self, samples: list[Any], /) -> Any: ...
    def transform(self, samples: list[Any], /) -> NDArray[Any]: ...


@dataclass(frozen=True)
class Picture:
    """A PNG file for the report, with a sentence that says what to see in it."""

    path: Path
    caption: str


@dataclass(frozen=True, kw_only=True)
class Published:
    """A figure that others published, for a table of its own: other rows or another protocol, so no comparison.

    Attributes:
        task, metric: the figure of ours that it stands beside; ``value`` is in its unit (a share, not per cent).
        subject: the system.
        data, protocol: what it was measured on, and how that was split.
        source: where the figure was read.
        layouts: the layouts of the app beside whose tables it is shown; beside all where there is none.
    """

    task: str
    metric: str
    subject: str
    value: float
    data: str
    protocol: str
    source: str
    layouts: Sequence[str] = ()


@dataclass(frozen=True)
class Demo:
    """What ``plait demo`` runs for an app: a layout, where it lies under ``--data``, a recipe and its steps."""

    layout: str
    folder: str
    recipe: str
    steps: int


def as_written(recipe: Recipe, table: PairTable) -> Recipe:
    """Leave nothing of a recipe to the table."""
    del table
    return recipe


def no_run_pictures(runs: Sequence[Path], table: PairTable, folder: Path) -> Iterable[Picture]:
    """Draw nothing of the run folders."""
    del runs, table, folder
    return ()


@dataclass(frozen=True)
class App:
    """A domain: how its files are read, augmented, evaluated and shown.

    Attributes:
        name: as typed on the command line.
        title: for people.
        layouts: what ``ingest`` understands.
        loader: the class of the recipe's ``data`` section.
        augment: the class of the recipe's ``augment`` section.
        recipes: the folder of the app's YAML recipes.
        tasks: name to ``task(subject)``, which yields measurements; a task that the table at hand cannot
            serve (no such labels) yields none.
        raw: for each modality the featurizer of the raw-feature baseline.
        synthetic: ``synthetic(root, seed)`` writes a small synthetic world in the demo's layout.
        demo: what ``plait demo`` runs.
        headline: the (task, metric) pairs of the short table; the report has all.
        pictures: ``pictures(subject, folder)`` draws what only this domain can show.
        run_pictures: ``run_pictures(runs, table, folder)`` draws what only this domain's run folders tell.
        baselines: further baselines by name, each with its featurizers as ``raw`` has them (none: it sees nothing).
        published: figures of others, shown beside ours.
        encoders, objectives: kinds that the app adds to the core's allow-lists.
        packages: import name to the command that installs it, for ``plait doctor``.
        examine: what ``ingest`` reads a row with, where there is more to find out than whether the loader reads it.
        notes: what a reader of every comparison must know.
        settle: ``settle(recipe, table)`` settles by the table that is trained on what a recipe leaves open.
    """

    name: str
    title: str
    layouts: Mapping[str, Layout]
    loader: Callable[..., Loader]
    augment: Callable[..., Augment]
    recipes: Path
    tasks: Mapping[str, Callable[[Subject], Iterable[Measurement]]]
    raw: Mapping[str, Callable[[], Featurizer]]
    synthetic: Callable[[Path, int], None]
    demo: Demo
    headline: Sequence[tuple[str, str]]
    pictures: Callable[[Subject, Path], Iterable[Picture]]
    encoders: Mapping[str, type[Encoder]] = field(default_factory=dict[str, type[Encoder]])
    objectives: Mapping[str, type[Objective]] = field(default_factory=dict[str, type[Objective]])
    packages: Mapping[str, str] = field(default_factory=dict[str, str])
    examine: Examine | None = None
    settle: Callable[[Recipe, PairTable], Recipe] = as_written
    run_pictures: Callable[[Sequence[Path], PairTable, Path], Iterable[Picture]] = no_run_pictures
    baselines: Mapping[str, Mapping[str, Callable[[], Featurizer]]] = field(
        default_factory=dict[str, Mapping[str, Callable[[], Featurizer]]]
    )
    published: Sequence[Published] = ()
    notes: Sequence[str] = ()


def app_names() -> list[str]:
    """List the installed apps, without importing any."""
    return sorted(point.name for point in entry_points(group="plait.apps"))


def load_app(name: str) -> App:
    """Import one app; raises `InputError` for a name that no installed distribution offers."""
    for point in entry_points(group="plait.apps", name=name):
        return point.load()
    raise InputError(f"There is no app '{name}': choose one of {', '.join(app_names())}.")

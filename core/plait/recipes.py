"""A recipe: the YAML file that names encoders, fusion, objectives, augmentation and optimisation.

A published system is a recipe, not a class. A recipe may only name what an allow-list holds (the core's, or the
app's); it can build no other class, and every key is checked against the constructor that it feeds.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

import yaml

from plait.encoders import ENCODERS
from plait.encoders.features import Encoder
from plait.errors import InputError
from plait.fusion import FUSIONS
from plait.fusion.fusion import Fusion
from plait.heads import TARGETS
from plait.model import Model
from plait.objectives import OBJECTIVES
from plait.objectives.objective import Objective
from plait.pairs.batch import modality_of
from plait.pairs.dataset import Augment, CachingLoader, Loader
from plait.pairs.pairing import PAIRINGS, Pairing
from plait.pairs.samplers import SAMPLERS, Draw, StepSampler
from plait.pairs.table import PairTable
from plait.progress import warn

type Spec = dict[str, Any]
"""A mapping with a ``kind`` from an allow-list; its other keys are the kind's keyword arguments."""


class Domain(Protocol):
    """What a recipe needs of an app: the classes of its sections and its own additions to the allow-lists."""

    @property
    def name(self) -> str: ...
    @property
    def loader(self) -> Callable[..., Loader]: ...
    @property
    def augment(self) -> Callable[..., Augment]: ...
    @property
    def recipes(self) -> Path: ...
    @property
    def encoders(self) -> Mapping[str, type[Encoder]]: ...
    @property
    def objectives(self) -> Mapping[str, type[Objective]]: ...
    @property
    def settle(self) -> Callable[[Recipe, PairTable], Recipe]: ...


@dataclass(frozen=True, kw_only=True)
class Optimisation:
    """How a recipe is optimised: AdamW, linear warm-up, then a cosine to zero.

    Attributes:
        batch_size: rows a step over all processes, so that a run means the same on one device and on eight.
        steps: optimiser steps.
        learning_rate: the peak.
        weight_decay: on weight matrices only; not on biases, norms and temperatures.
        warmup_steps: steps of linear warm-up.
        clip_norm: the largest gradient norm.
        encode_chunk: encode so many rows of a process at a time, twice, instead of all at once: the batch of the
            losses stays whole, at the memory of a chunk (gradient caching). All at once where ``null``.
        encoder_learning_rates: modality to the peak for its encoder, where that is another one.
        validate_every: steps between looks at the table's ``val`` rows; the weights of the best look are kept. The last
            step's where ``null``.
        patience: training ends after so many looks without a better one; at ``steps`` where ``null``.
    """

    batch_size: int = 64
    steps: int = 1000
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup_steps: int = 50
    clip_norm: float = 1.0
    encode_chunk: int | None = None
    encoder_learning_rates: dict[str, float] = field(default_factory=dict[str, float])
    validate_every: int | None = None
    patience: int | None = None

    def __post_init__(self) -> None:
        if self.patience is not None and self.validate_every is None:
            raise InputError("optimisation.patience counts looks at val rows: set optimisation.validate_every, too.")
        for key, value in (("validate_every", self.validate_every), ("patience", self.patience)):
            if value is not None and value < 1:
                raise InputError(f"optimisation.{key} is {value}: give 1 or more, or null.")


@dataclass(frozen=True, kw_only=True)
class TeacherSection:
    """The ``teacher`` section: the running mean of the model's weights, for objectives that learn from one.

    Attributes:
        momentum: m in theta' <- m theta' + (1 - m) theta (MoCo; He et al., 2020, eq. 2).
        steps_to_one: over so many steps m rises along a cosine to 1 (BYOL; Grill et al., 2020, section 3.3);
            constant where ``null``.
    """

    momentum: float = 0.996
    steps_to_one: int | None = None


@dataclass(frozen=True, kw_only=True)
class ModelSection:
    """The ``model`` section.

    Attributes:
        embedding: E, the width of the shared space.
        encoders: modality name to the spec of its encoder.
        fusion: its spec; kind ``none`` for towers that meet in the losses alone.
        frozen: modalities whose encoders do not learn.
        modality_dropout: how often a fusion that trains is refused a modality.
        targets: label column to the spec of what is to be told of it.
    """

    embedding: int = 128
    encoders: dict[str, Spec]
    fusion: Spec = field(default_factory=lambda: {"kind": "none"})
    frozen: list[str] = field(default_factory=list[str])
    modality_dropout: float = 0.0
    targets: dict[str, Spec] = field(default_factory=dict[str, Spec])


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A recipe with every default written out; build things from it with the functions of this module."""

    name: str
    about: str
    data: Spec = field(default_factory=dict[str, Any])
    augment: Spec = field(default_factory=dict[str, Any])
    pairing: Spec = field(default_factory=lambda: {"kind": "paired"})
    batches: Spec = field(default_factory=lambda: {"kind": "shuffled"})
    model: ModelSection
    objectives: list[Spec]
    teacher: TeacherSection = field(default_factory=TeacherSection)
    optimisation: Optimisation = field(default_factory=Optimisation)

    def to_yaml(self) -> str:
        return yaml.safe_dump(asdict(self), sort_keys=False, allow_unicode=True, width=110)


@dataclass(frozen=True, kw_only=True)
class _Sections:
    """A recipe's top level, its sections not yet checked."""

    name: str
    about: str
    data: Spec = field(default_factory=dict[str, Any])
    augment: Spec = field(default_factory=dict[str, Any])
    pairing: Spec = field(default_factory=lambda: {"kind": "paired"})
    batches: Spec = field(default_factory=lambda: {"kind": "shuffled"})
    model: Spec
    objectives: list[Spec]
    teacher: Spec = field(default_factory=dict[str, Any])
    optimisation: Spec = field(default_factory=dict[str, Any])


def read_recipe(name: str, domain: Domain, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe of an app by its name, or any recipe by its path, and check all of it.

    Args:
        name: the stem of a file in the app's recipes, or a path that ends in ``.yaml``.
        domain: the app whose allow-lists and sections apply.
        overrides: ``key=value`` with a dotted key, as in ``optimisation.steps=200``; values are YAML.

    Raises:
        InputError: for a recipe that is not there, a key that is misspelt, or a value of the wrong type.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else domain.recipes / f"{name}.yaml"
    if not path.is_file():
        known = sorted(file.stem for file in domain.recipes.glob("*.yaml"))
        raise InputError(
            f"There is no recipe '{name}' of {domain.name}{_did_you_mean(name, known)}; a path ends in .yaml."
        )
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(raw, dict):
        raise InputError(f"{path} is not a recipe: a recipe is a YAML mapping with name, model and objectives.")
    raw = cast(Spec, raw)
    for override in overrides:
        _override(raw, override)
    return complete_recipe(raw, domain, str(path))


def complete_recipe(raw: Spec, domain: Domain, where: str) -> Recipe:
    """Check a raw recipe against every constructor it feeds, and write out the defaults."""
    top = complete(_Sections, raw, where)
    section = complete(ModelSection, top["model"], f"{where}, model")
    encoders = {
        name: complete_kind(ENCODERS | dict(domain.encoders), spec, f"{where}, model.encoders.{name}")
        for name, spec in section["encoders"].items()
    }
    fusion = section["fusion"]
    if fusion.get("kind") != "none":
        nested = {"encoder": fusion["encoder"]} if "encoder" in fusion else {}
        plain = {key: value for key, value in fusion.items() if key not in nested}
        fusion = complete_kind(FUSIONS, plain, f"{where}, model.fusion", given=("modalities", "encoder"))
        for key, spec in nested.items():
            fusion[key] = complete_kind(ENCODERS | dict(domain.encoders), spec, f"{where}, model.fusion.{key}")
    targets = {
        name: complete_kind(TARGETS, spec, f"{where}, model.targets.{name}")
        for name, spec in section["targets"].items()
    }
    allowed = OBJECTIVES | dict(domain.objectives)
    objectives: list[Spec] = []
    for index, spec in enumerate(top["objectives"]):
        spec, place = dict(spec), f"{where}, objectives[{index}]"
        weight = spec.pop("weight", 1.0)
        objectives.append(complete_kind(allowed, spec, place) | {"weight": float(weight)})
    return Recipe(
        name=top["name"],
        about=top["about"],
        data=complete(domain.loader, top["data"], f"{where}, data", given=("cache",)),  # where it lies is no recipe's
        augment=complete(domain.augment, top["augment"], f"{where}, augment"),
        pairing=complete_kind(PAIRINGS, top["pairing"], f"{where}, pairing"),
        batches=complete_kind(SAMPLERS, top["batches"], f"{where}, batches", given=("table", "draw")),
        model=ModelSection(**cast(Spec, section | {"encoders": encoders, "fusion": fusion, "targets": targets})),
        objectives=objectives,
        teacher=TeacherSection(**complete(TeacherSection, top["teacher"], f"{where}, teacher")),
        optimisation=Optimisation(**complete(Optimisation, top["optimisation"], f"{where}, optimisation")),
    )


def build_loader(domain: Domain, data: Spec, table: PairTable, cache: Path | None = None) -> Loader:
    """Make the loader of a recipe's ``data`` section.

    Args:
        domain: the app.
        data: the section.
        table: what will be read.
        cache: folder for what the loader has read and made small before; how large it can grow is said.

    Raises:
        InputError: for a folder where the domain's loader keeps nothing.
    """
    if cache is None:
        return domain.loader(**data)
    if "cache" not in inspect.signature(domain.loader).parameters:
        raise InputError(f"{domain.name} keeps nothing of what it reads: leave out --cache.")
    loader = cast(CachingLoader, domain.loader(**data, cache=str(cache)))
    _say_once(f"{cache} will hold up to {loader.cache_bytes(table) / 1e6:,.1f} MB of {table.where}.")
    return loader


@functools.cache
def _say_once(text: str) -> None:
    warn(text)


def build_model(recipe: Recipe, domain: Domain) -> Model:
    """Build the model of a recipe with fresh weights from PyTorch's global generator."""
    allowed = ENCODERS | dict(domain.encoders)
    encoders = {name: _build(allowed, spec) for name, spec in recipe.model.encoders.items()}
    fusion: Fusion | None = None
    if recipe.model.fusion["kind"] != "none":
        spec = dict(recipe.model.fusion)
        if "encoder" in spec:
            spec["encoder"] = _build(allowed, spec["encoder"])
        fusion = _build(FUSIONS, spec, modalities={name: encoder.width for name, encoder in encoders.items()})
    for name in recipe.model.frozen:
        if name not in encoders:
            raise InputError(
                f"Recipe '{recipe.name}', model.frozen: '{name}' has no encoder; there is {', '.join(encoders)}."
            )
    section = recipe.model
    targets = {column: _build(TARGETS, spec) for column, spec in section.targets.items()}
    return Model(encoders, section.embedding, fusion, section.frozen, section.modality_dropout, targets)


def build_objectives(recipe: Recipe, domain: Domain) -> list[tuple[Objective, float]]:
    """Build the objectives of a recipe, each with its weight; raises `InputError` for an unknown modality."""
    built: list[tuple[Objective, float]] = []
    for index, spec in enumerate(recipe.objectives):
        spec = dict(spec)
        weight = float(spec.pop("weight"))
        objective = _build(OBJECTIVES | dict(domain.objectives), spec)
        for name in map(modality_of, objective.modalities):
            if name not in recipe.model.encoders:
                raise InputError(
                    f"Recipe '{recipe.name}', objectives[{index}]: '{name}' has no encoder; "
                    f"the model has {', '.join(recipe.model.encoders)}."
                )
        built.append((objective, weight))
    return built


def build_pairing(recipe: Recipe) -> Pairing:
    """Build what a recipe does to the pairing of a table's rows before it trains on them."""
    return _build(PAIRINGS, recipe.pairing)


def build_batches(recipe: Recipe, table: PairTable, draw: Draw) -> StepSampler:
    """Build the sampler that says which rows make up each step."""
    return _build(SAMPLERS, recipe.batches, table=table, draw=draw)


def complete_kind(
    allowed: Mapping[str, Callable[..., Any]], spec: object, where: str, given: Sequence[str] = ()
) -> Spec:
    """Check a spec against the allow-listed constructor of its kind; ``given`` arguments come from the program."""
    if not isinstance(spec, dict) or "kind" not in spec:
        raise InputError(f"{where}: give a mapping with a 'kind', one of {', '.join(allowed)}.")
    rest = dict(cast(Spec, spec))
    kind = rest.pop("kind")
    if kind not in allowed:
        raise InputError(f"{where}: there is no kind '{kind}'{_did_you_mean(str(kind), allowed)}.")
    return {"kind": kind, **complete(allowed[kind], rest, where, given)}


def complete(target: Callable[..., Any], values: object, where: str, given: Sequence[str] = ()) -> Spec:
    """Check keyword arguments against a typed constructor, and write out its defaults.

    Raises:
        InputError: naming the place, the key, and the nearest key that exists.
    """
    if not isinstance(values, dict):
        raise InputError(f"{where}: give a mapping of keys to values, not {values!r}.")
    known = [name for name in inspect.signature(target).parameters if name not in given]
    for key in cast(Spec, values):
        if key not in known:
            raise InputError(f"{where}: there is no key '{key}'{_did_you_mean(str(key), known)}.")
    for name, parameter in inspect.signature(target).parameters.items():
        wanted = name in known and parameter.default is parameter.empty and not _has_default_factory(target, name)
        if wanted and name not in values:
            raise InputError(f"{where}: the key '{name}' is missing: add it.")
    return _typed(target, cast(Spec, values), where, given) if known else {}


def _typed(target: Callable[..., Any], values: Spec, where: str, given: Sequence[str]) -> Spec:
    from jsonargparse import ArgumentError, ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(cast(type, target), "it", skip=set(given), fail_untyped=False)
    try:
        parsed = parser.parse_object({"it": values})
    except ArgumentError as error:
        reason = " ".join(str(error).replace('"it.', '"').split())
        raise InputError(f"{where}: {reason}") from error
    return cast(Spec, _plain(parsed["it"].as_dict()))


def _plain(value: Any) -> Any:
    """Tuples as lists, so that a recipe survives YAML unchanged."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in cast(Mapping[Any, Any], value).items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast(Sequence[Any], value)]
    return value


def _build(allowed: Mapping[str, Callable[..., Any]], spec: Spec, **given: Any) -> Any:
    arguments = {key: value for key, value in spec.items() if key != "kind"}
    return allowed[spec["kind"]](**given, **arguments)


def _override(raw: Spec, override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals:
        raise InputError(f"--set {override}: write it as key=value, for example optimisation.steps=200.")
    place: Any = raw
    *parents, last = key.split(".")
    for parent in parents:
        place = place[int(parent)] if isinstance(place, list) else place.setdefault(parent, {})
    place[int(last) if isinstance(place, list) else last] = yaml.safe_load(text)


def _did_you_mean(word: str, known: Mapping[str, Any] | Sequence[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean '{near[0]}'?" if near else f"; there is {', '.join(known)}"


def _has_default_factory(target: Callable[..., Any], name: str) -> bool:
    fields = getattr(target, "__dataclass_fields__", {})
    return name in fields and callable(getattr(fields[name], "default_factory", None))

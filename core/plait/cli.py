"""The command line: ``plait <app> <verb>``. Nothing heavy is imported before a verb runs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points, version
from pathlib import Path

from plait.errors import InputError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; gives back the exit code: 2 for what the user can mend."""
    arguments = _parser().parse_args(argv)
    try:
        code = _run(arguments)
        sys.stdout.flush()  # here, where a reader that has read enough is no error
        return code
    except InputError as error:
        if arguments.debug:
            raise
        print(f"plait: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # What reads our output has read enough, as `head` does; nothing more can be said there, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if arguments.debug or error.filename is None:
            raise
        print(f"plait: {error.filename}: {error.strerror}: give another path, or make room.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "plait: interrupted; a run goes on with --resume, an ingest or a map with the same command.",
            file=sys.stderr,
        )
        return 130


def _run(arguments: argparse.Namespace) -> int:
    given = {
        name: value for name, value in vars(arguments).items() if name not in ("command", "verb", "debug", "run_verb")
    }
    if "run_verb" in arguments:
        return arguments.run_verb(**given)
    if arguments.command == "doctor":
        from plait.doctor import doctor

        return doctor(**given)
    if arguments.command == "demo":
        from plait.demo import demo

        return demo(**given)
    if arguments.command == "systems":
        from plait.systems import systems

        return systems(**given)
    from plait import verbs

    if arguments.command == "recipes":
        return verbs.show_recipe(given["name"]) if arguments.verb == "show" else verbs.list_recipes(given["json"])
    return getattr(verbs, arguments.verb.replace("-", "_"))(arguments.command, **given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="plait",
        description="Self-supervised multimodal learning on paired, unlabelled data; one command a domain.",
    )
    parser.add_argument("--version", action="version", version=f"plait {version('plait')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _demo(commands.add_parser("demo", help="ingest, pretrain and evaluate all domains in minutes; writes report.html"))
    for point in sorted(entry_points(group="plait.apps"), key=lambda point: point.name):
        app = commands.add_parser(point.name, help=f"ingest, pretrain, evaluate, compare, embed ({point.name})")
        verbs = app.add_subparsers(dest="verb", required=True, metavar="VERB")
        _verbs(verbs)
        for own in entry_points(group="plait.verbs", name=point.name):
            own.load()(verbs)
    recipes = add_verb(commands, "recipes", "what can be pretrained: list the recipes, or show one")
    recipes.add_argument("--json", action="store_true", help="machine-readable")
    shown = recipes.add_subparsers(dest="verb", metavar="show")
    show = add_verb(shown, "show", "print a recipe")
    show.add_argument("name", help="a recipe's name")
    systems = add_verb(commands, "systems", "the published systems that Plait follows: list them, or show one")
    systems.add_argument("name", metavar="NAME", nargs="?", help="a system's name, such as CLIP")
    shape = systems.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="machine-readable")
    shape.add_argument("--markdown", action="store_true", help="as docs/systems.md has it")
    doctor = add_verb(commands, "doctor", "what this machine has and lacks, with the command that mends it")
    doctor.add_argument("--json", action="store_true", help="machine-readable")
    return parser


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder to write (default: demo)")
    parser.add_argument("--data", type=Path, help="real data, laid out as shared/data; synthetic worlds where absent")
    parser.add_argument("--seeds", type=int, default=1, help="training seeds a domain (default: 1)")
    _debug(parser)


type Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # pyright: ignore[reportPrivateUsage]


def _verbs(verbs: Subparsers) -> None:
    ingest = add_verb(verbs, "ingest", "read a data set's own layout, check every file, write the pair table")
    ingest.add_argument("layout", metavar="LAYOUT", help="the data set's layout; an unknown name lists them")
    ingest.add_argument("root", metavar="ROOT", type=Path, help="the data set's folder or file")
    ingest.add_argument("--out", type=Path, required=True, help="the pair table to write (.parquet)")
    ingest.add_argument("--val", type=float, default=0.2, help="validation share where the data have no split (0.2)")
    ingest.add_argument("--seed", type=int, default=0, help="of that split (0)")
    ingest.add_argument("--workers", type=int, help="processes that read rows (one a processor); 0: in this one")
    ingest.add_argument("--set", dest="options", metavar="NAME=VALUE", nargs="+", action="extend", default=[],
                        help="how to read a layout that has options; an unknown name lists them")  # fmt: skip
    _leakage(ingest)

    pretrain = add_verb(verbs, "pretrain", "train a recipe on pairs; one flag changes the hardware, none the recipe")
    pretrain.add_argument("recipe", metavar="RECIPE", help="a recipe's name, or a path to a .yaml file")
    pretrain.add_argument("--pairs", type=Path, required=True, help="the pair table")
    pretrain.add_argument("--out", type=Path, required=True, help="the run folder to write")
    _overrides(pretrain, "the recipe")
    pretrain.add_argument("--seed", type=int, default=0, help="one seed gives one result on one machine (0)")
    pretrain.add_argument("--resume", action="store_true", help="go on from the run's last checkpoint, bit for bit")
    pretrain.add_argument("--checkpoint-every", type=int, default=200, help="steps between checkpoints (200)")
    _hardware(pretrain)

    evaluate = add_verb(verbs, "evaluate", "measure a run on the domain's tasks, beside the two baselines")
    evaluate.add_argument("run", metavar="RUN", type=Path, help="the run folder")
    evaluate.add_argument("--pairs", type=Path, required=True, help="the pair table")
    evaluate.add_argument("--out", type=Path, required=True, help="folder for results.json and report.html")
    _leakage(evaluate)
    _cache(evaluate)

    compare = add_verb(verbs, "compare", "the table a paper needs: recipes x seeds, baselines, intervals, paired tests")
    compare.add_argument("recipes", metavar="RECIPE", nargs="+", help="names or paths")
    compare.add_argument("--pairs", type=Path, required=True, help="the pair table")
    _overrides(compare, "every recipe")
    compare.add_argument("--seeds", type=int, default=5, help="training seeds (5)")
    compare.add_argument("--folds", type=int, metavar="N", help="hold out only the first N folds of a table that has "
                         "them, for a quick look")  # fmt: skip
    compare.add_argument("--out", type=Path, required=True, help="folder for runs, results.json and report.html")
    _leakage(compare)
    _hardware(compare)

    embed = add_verb(verbs, "embed", "write a run's embeddings of every row, for other tools")
    embed.add_argument("run", metavar="RUN", type=Path, help="the run folder")
    embed.add_argument("--pairs", type=Path, required=True, help="the pair table")
    embed.add_argument("--out", type=Path, required=True, help="the Parquet file to write")
    _cache(embed)

    check = add_verb(
        verbs, "check-leakage", "tell what two pair tables share, or the splits of one; exits with 1 if any"
    )
    check.add_argument("left", metavar="A", type=Path, help="a pair table, such as the one trained on")
    check.add_argument("right", metavar="B", type=Path, nargs="?", help="another; without it, the splits of A")
    check.add_argument("--json", action="store_true", help="machine-readable")

    prune = add_verb(verbs, "prune", "keep the training rows that are worth it, by a run's prototypes")
    prune.add_argument("run", metavar="RUN", type=Path, help="the run folder")
    prune.add_argument("--pairs", type=Path, required=True, help="the pair table")
    prune.add_argument("--out", type=Path, required=True, help="the smaller pair table to write")
    prune.add_argument("--modality", required=True, help="by whose embeddings")
    prune.add_argument("--share", type=float, required=True, help="of the training rows to keep, for example 0.8")
    prune.add_argument("--keep", choices=("far", "near"), default="far",
                       help="far from their prototype where data are plenty, near where scarce (far)")  # fmt: skip
    prune.add_argument("--prototypes", type=int, default=20, help="clusters (20)")
    prune.add_argument("--seed", type=int, default=0, help="of the clusters (0)")
    _cache(prune)


def add_verb(verbs: Subparsers, name: str, about: str) -> argparse.ArgumentParser:
    """Add a verb with its help (lower case, no full stop) and the flags that every verb has."""
    parser = verbs.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
    _debug(parser)
    return parser


def _debug(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")


def _overrides(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("--set", dest="overrides", metavar="KEY=VALUE", nargs="+", action="extend", default=[],
                        help=f"change {what}, for example optimisation.batch_size=128")  # fmt: skip


def _leakage(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--allow-leakage", action="store_true", help="go on where splits share data; tables say so")


def _hardware(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--max-steps", type=int, help="instead of the recipe's steps")
    parser.add_argument("--accelerator", default="auto", help="cpu, cuda, mps or auto")
    parser.add_argument("--devices", default="auto", help="devices a node, or processes on a CPU (auto)")
    parser.add_argument("--nodes", type=int, default=1, help="machines (1)")
    parser.add_argument("--strategy", default="auto", help="any of Lightning Fabric's (auto)")
    parser.add_argument("--precision", default="32-true", help="32-true, bf16-mixed or 16-mixed (32-true)")
    parser.add_argument("--workers", type=int, default=0, help="loader processes a device (0)")
    _cache(parser)


def _cache(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cache", metavar="DIR", type=Path, help="keep what was read and made small, for later runs")


if __name__ == "__main__":
    sys.exit(main())

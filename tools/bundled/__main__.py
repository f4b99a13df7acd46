"""`python -m tools.bundled`: make the bundled network, generator, inverter or the contact sheet again."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parents[2]
CHECKPOINTS = Path("runs/bundled")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.bundled", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    helps = {
        "train-network": "train the classifier of the synthetic images (resumes from its checkpoint)",
        "train-generator": "train the generator of plain synthetic images (resumes from its checkpoint)",
        "train-inverter": "train the inverter of a layer of the network (resumes from its checkpoint)",
    }
    for name, text in helps.items():
        command = commands.add_parser(name, help=text)
        command.add_argument("--out", type=Path, help="the safetensors file to write (default: the packaged one)")
        command.add_argument("--seed", type=int, default=0)
        command.add_argument("--steps", type=int, help="optimiser steps (default: those of the packaged file)")
        command.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, ...")
        command.add_argument("--checkpoint", type=Path, help="where to keep the state (default: under runs/bundled)")
        command.add_argument(
            "--workers", type=int, default=1, help="processes that draw images (0: this process draws them)"
        )
        command.add_argument("--threads", type=int, help="CPU threads of the training itself")
        command.add_argument("--pictures", type=int, default=2800, help="fresh images for the evaluation")
        command.add_argument(
            "--export", action="store_true", help="write the file from the checkpoint without training"
        )
    features = commands.add_parser("measure-features", help="measure the network's features on synthetic images")
    features.add_argument("--out", type=Path, help="the safetensors file to write (default: the packaged one)")
    sheet = commands.add_parser("contact-sheet", help="draw some images of every class on one page")
    sheet.add_argument("--out", type=Path, default=ROOT / "docs/images/world.jpg")
    sheet.add_argument("--seed", type=int, default=1)
    return parser


def _report(step: int, total: int, metrics: dict[str, float]) -> None:
    seconds = metrics.get("seconds", 0.0)
    left = seconds / max(step, 1) * (total - step)
    text = "  ".join(f"{name} {value:.4g}" for name, value in metrics.items() if name != "seconds")
    print(f"step {step}/{total}  {text}  {seconds / 60:.1f} min, about {left / 60:.0f} left", flush=True)


def _train_network(arguments: argparse.Namespace) -> None:
    from inverter.sources.builtin import WEIGHTS
    from tools.bundled.train_network import NetworkSettings, save_network, train_network

    out = arguments.out or WEIGHTS
    settings = NetworkSettings(seed=arguments.seed)
    if arguments.steps is not None:
        settings = replace(settings, steps=arguments.steps)
    checkpoint = arguments.checkpoint or CHECKPOINTS / "network.pt"
    chunks = 0 if arguments.export else None
    network, state = train_network(settings, checkpoint, arguments.device, arguments.workers, _report, chunks=chunks)
    chart = ROOT / "docs/images/network_loss.png" if out == WEIGHTS else out.with_suffix(".loss.png")
    record = save_network(network, state, out, chart, arguments.pictures)
    print(f"{out}: {record['bytes']} bytes, top-1 {record['measured']['top1']:.4f}")
    for name, value in record["measured"]["top1_corrupted"].items():
        print(f"  {name:16} {value:.4f}")


def _check(arguments: argparse.Namespace) -> None:
    """Raise a ValueError for invalid arguments, before hours of training."""
    import torch

    for name in ("steps", "threads", "pictures"):
        value = getattr(arguments, name, None)
        if value is not None and value < 1:
            raise ValueError(f"--{name} must be at least 1, got {value}")
    if getattr(arguments, "device", "cpu").startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"--device {arguments.device} needs a CUDA device, but PyTorch finds none; use --device cpu")


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        import torch

        _check(arguments)
        if getattr(arguments, "threads", None):
            torch.set_num_threads(arguments.threads)
        if arguments.command == "contact-sheet":
            from tools.bundled.sheet import contact_sheet

            contact_sheet(arguments.out, arguments.seed)
        elif arguments.command == "measure-features":
            from inverter.sources.builtin import FEATURES
            from tools.bundled.measure_features import run as measure

            print(f"{measure(arguments.out or FEATURES).images} images measured")
        elif arguments.command == "train-network":
            _train_network(arguments)
        elif arguments.command == "train-inverter":
            from tools.bundled.train_inverter import run as train_inverter

            arguments.checkpoint = arguments.checkpoint or CHECKPOINTS / "inverter.pt"
            for name, value in train_inverter(arguments, _report).items():
                print(f"  {name:22} {value:g}")
        else:
            from tools.bundled.train_generator import run

            arguments.checkpoint = arguments.checkpoint or CHECKPOINTS / "generator.pt"
            for name, value in run(arguments, ROOT, _report)["measured"].items():
                print(f"  {name:10} {value:g}")
    except (ValueError, OSError, RuntimeError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command resumes from the last checkpoint", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Unit names: for each unit, the words of a vocabulary that describe the pictures which activate it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from inverter_errors import BadInput, plural
from recipes.gallery.patches import Patches
from recipes.options.fields import check_integer, option
from recipes.options.input_values import written_size
from recipes.options.names import address
from recipes.options.suggest import nearest
from recipes.options.words import MEASURES, Measure, read_words

if TYPE_CHECKING:
    from torch import Tensor, nn

    from inverter import Model
    from recipes.activations.collect import CollectedActivations
    from recipes.executors.progress import RunProgressCallback
    from recipes.outputs.manifest import Record
    from recipes.pictures.sets import PictureSet
    from recipes.runner.report import Report

BEST = 5
"""Number of words of each unit that are kept."""
MOST_PICTURES = 100
"""Pictures of each unit that count, by default: the paper's 100, at most a tenth of the set, at least `LEAST`."""
LEAST = 5
_OWN = ("text_weights", "text_normalize", "text_input_size")
_TABLE = ("layer", "channel", "name", "score", "others")


@dataclass(frozen=True, kw_only=True)
class Names(Patches):
    """Names for units from a vocabulary (Oikarinen & Weng 2023, CLIP-Dissect), shown with their top patches.

    A network with an image and a text tower tells how similar each picture is to each word; the words whose
    similarities agree best with a unit's activations name it. Neither labels nor the network's gradients are needed, so
    that any unit of any network can be named. The output folder has `names.csv` and `names.json` as well.

    Raises:
        BadInput: for an unknown measure, a vocabulary of fewer than two words, options of a text model without one, or
            (in `run`) a text model without a text tower.

    Example:
        >>> Names(images="photos", vocabulary=["dog", "wheel"], text_model="clip.py:make", out="OUT").measure
        'soft-wpmi'
    """

    name: ClassVar[str] = "names"

    vocabulary: str | Sequence[str] = option(
        MISSING, "words to choose from: a .txt file, one a line, or words; may be repeated", repeat=True
    )
    text_model: str | nn.Module | Model | None = option(
        None,
        "network with an image and a text tower (CLIP, SigLIP), named like --model (default: the network itself)",
    )
    text_weights: str | None = option(None, "weights file of the text model")
    text_normalize: str | None = option(None, "input normalisation of the text model, written like --normalize")
    text_input_size: str | int | Sequence[int] | None = option(
        None, "input size of the text model, written like --input-size (default: that of its source)"
    )
    measure: Measure = option(
        "soft-wpmi",
        "how activations and words are compared: soft-wpmi (the paper's), wpmi, cosine or cosine-cubed",
        choices=MEASURES,
    )
    top: int | None = option(
        None,
        f"pictures of each unit that the two wpmi measures count (default: a tenth of them, at least {LEAST}, at most "
        f"{MOST_PICTURES})",
    )
    out: str = option("names", "output folder")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.measure not in MEASURES:
            raise BadInput(f"unknown measure {self.measure!r}{nearest(self.measure, MEASURES)}")
        if self.top is not None:
            check_integer("top", self.top, 1, 1_000_000)
        if self.text_model is None and (given := [key for key in _OWN if getattr(self, key) is not None]):
            raise BadInput(f"{given[0]} is given but no text_model: set text_model to a network with a text tower")

    @property
    def words(self) -> tuple[str, ...]:
        """The words to choose from."""
        words = read_words(self.vocabulary, "vocabulary")
        if len(words) < 2:
            raise BadInput(f"vocabulary: got {words[0]!r} alone; expected two words or more, to choose from")
        return words

    def settings(self) -> dict[str, Any]:
        text = self.text_model
        named = text is None or isinstance(text, str)
        return super().settings() | {
            "vocabulary": list(self.words),
            "text_model": text if named else getattr(text, "spec", "module"),
            "text_input_size": written_size(self.text_input_size),
        }

    def _text_model(self, model: Model) -> Model:
        from inverter import load_model

        if self.text_model is None:
            return model
        return load_model(self.text_model, self.text_weights, self.text_normalize, self.device, self.text_input_size)

    def _annotator(
        self,
        model: Model,
        pictures: PictureSet,
        collected: CollectedActivations,
        progress: RunProgressCallback | None,
    ) -> Callable[[Record], Record]:
        similarities = self.similarities(model, pictures, progress)
        vocabulary = self.words
        known: dict[str, Tensor] = {}

        def annotate(record: Record) -> Record:
            if record.channel is None or not record.metrics["most"]:  # constant: no picture says what it responds to
                return record
            if record.layer not in known:
                known[record.layer] = self.scores(collected, address(record.layer), similarities)
            best = known[record.layer][record.channel].topk(min(BEST, len(vocabulary)))
            words = [
                {"text": vocabulary[index], "score": score}
                for index, score in zip(best.indices.tolist(), best.values.tolist(), strict=True)
            ]
            return replace(record, name=words[0]["text"], metrics={**record.metrics, "words": words})

        return annotate

    def similarities(self, model: Model, pictures: PictureSet, progress: RunProgressCallback | None = None) -> Tensor:
        """The cosines of all pictures and words, (N, M), in the space that the two towers share.

        The vectors of the pictures are kept in the output folder.

        Args:
            model: the network under inspection; the one with the two towers, where no other is given.
            pictures: the set.
            progress: as in `run`.

        Raises:
            InverterError: as `Recipe.run`.
        """
        import numpy as np
        import torch
        from torch.nn import functional as F

        from objectives import OUTPUT
        from recipes.activations.collect import collect
        from recipes.activations.reducers import Extremes

        text = self._text_model(model)
        words = text.encode_text(self.words)
        folder = Path(self.out) / "embeddings"
        embedded = collect(
            text, pictures, [OUTPUT], Extremes(), out=folder, batch=self.batch_size, fresh=self.fresh, progress=progress
        )
        vectors = torch.from_numpy(np.array(embedded.array(OUTPUT, "mean")))
        if vectors.shape[1] != words.shape[1]:
            raise BadInput(
                f"{text.spec} outputs {plural(vectors.shape[1], 'number')} for a picture and its text tower "
                f"{words.shape[1]} for a text: expected vectors of one space"
            )
        return F.normalize(vectors, dim=1) @ words.T

    def scores(self, collected: CollectedActivations, layer: str, similarities: Tensor) -> Tensor:
        """The scores (C, M) of all words for all units of a layer.

        Args:
            collected: the extremes of the layer's activations over the pictures.
            layer: its address.
            similarities: of the pictures and the words, (N, M).
        """
        import numpy as np
        import torch

        from recipes.activations.unit_names import name_scores

        top = self.top or min(MOST_PICTURES, max(LEAST, len(similarities) // 10))
        found = collected.array(layer, "centre" if self.objective == "neuron" else "mean")
        return name_scores(torch.from_numpy(np.array(found)), similarities, self.measure, top)

    def _run(self, progress: RunProgressCallback | None) -> Report:
        """Names the units, then writes their names as tables."""
        from recipes.outputs.atomic import write_text

        report = super()._run(progress)
        records = list(report.manifest.units.values())
        write_text(report.out / "names.csv", _csv(records))
        tree: dict[str, dict[str, Any]] = {}
        for record in records:
            tree.setdefault(record.layer, {})[str(record.channel)] = record.metrics.get("words", [])
        write_text(report.out / "names.json", json.dumps(tree, indent=1, ensure_ascii=False))
        return report

    def page(self, manifest: Mapping[str, Any]) -> str:
        from recipes.gallery.patches_page import render_patches

        return render_patches(manifest, kind="Unit names")


def _csv(records: Sequence[Record]) -> str:
    """A row for each unit: its name, the name's score, and the next words."""
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(_TABLE)
    for record in records:
        words = record.metrics.get("words", [])
        first = words[0] if words else {"text": "", "score": ""}
        others = "; ".join(word["text"] for word in words[1:])
        writer.writerow([record.layer, record.channel, first["text"], first["score"], others])
    return text.getvalue()

"""The measurements of `inverter concepts`: vectors against random sets, and TCAV scores of classes."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from inverter import Directions
from inverter_errors import BadInput, plural
from recipes.activations.predictions import class_name
from recipes.concepts.concept_sets import OTHERS, ConceptSet, few, random_sets, split_name
from recipes.concepts.separation import LEAST, Cut, mean_cut, separate
from recipes.concepts.tcav import compare_with_random, sensitivity_gradients
from recipes.executors.progress import RunProgress
from recipes.options.fields import texts
from recipes.options.indices import count_classes, parse_classes
from recipes.outputs.atomic import write_bytes, write_jpeg
from recipes.outputs.file_names import safe_name
from recipes.outputs.rendering.showing import Showing
from recipes.pictures.sets import PictureSet, picture_set

if TYPE_CHECKING:
    from recipes.concepts.concepts import Concepts
    from recipes.outputs.manifest import Record
    from recipes.runner.context import RunContext

Array = np.ndarray[Any, Any]

SHOWN = 8
"""Pictures of each concept on the page, at most."""


@dataclass(frozen=True, eq=False)
class LayerCuts:
    """What separates the concepts at a layer.

    Attributes:
        concepts: the cuts of each concept, against a random set each.
        random: for each concept, the cuts between two random sets of as many pictures.
        sizes: pictures of each concept in a set.
    """

    concepts: Mapping[str, list[Cut]]
    random: Mapping[str, list[Cut]]
    sizes: Mapping[str, int]


class ConceptTests:
    """All measurements of a run, each made when it is needed; activations and gradients are kept on disk.

    Args:
        recipe: what to measure.
        context: of its run.

    Raises:
        BadInput: for too few pictures, or an unknown class.
        InverterError: as `collect`.
    """

    def __init__(self, recipe: Concepts, context: RunContext) -> None:
        self.recipe, self.model, self.progress = recipe, context.model, context.progress
        self.size, self.folder = recipe.picture_size(self.model), Path(recipe.out) / "activations"
        self.pooled, self.batch = recipe.pooling == "mean", recipe.batch_size
        self._cuts: dict[str, LayerCuts] = {}
        places = {f"positive-{name}": [place] for name, place in recipe.concepts.items()}
        sets = {
            name: ConceptSet.collect(
                self.model,
                where,
                recipe.layers,
                self.pooled,
                self.folder / safe_name(name),
                self.size,
                recipe.fresh,
                self.progress,
                context.executor,
            )
            for name, where in {**places, OTHERS: [str(place) for place in texts(recipe.negative)]}.items()
        }
        self.others = sets.pop(OTHERS)
        self.concepts = dict(zip(recipe.concepts, sets.values(), strict=True))
        if len(self.others.readable) < 2 * LEAST:
            raise BadInput(
                f"negative: got {plural(len(self.others.readable), 'picture')}, expected at least {2 * LEAST}"
            )
        for name, found in self.concepts.items():
            if len(found.readable) < LEAST:
                raise BadInput(
                    f"concept {name}: got {plural(len(found.readable), 'picture')}, expected at least {LEAST}"
                )

    @property
    def skipped(self) -> Mapping[str, str]:
        """Pictures that could not be read, with the reason."""
        sets = [found.collected.skipped for found in [*self.concepts.values(), self.others]]
        return {name: reason for skipped in sets for name, reason in skipped.items()}

    def cuts(self, layer: str) -> LayerCuts:
        """What separates the concepts at a layer; random sets are drawn anew for each run."""
        if layer not in self._cuts:
            others, how, runs = self.others.rows(layer), self.recipe.separator, self.recipe.runs
            concepts, random, sizes = dict[str, list[Cut]](), dict[str, list[Cut]](), dict[str, int]()
            for name, found in self.concepts.items():
                rows = found.rows(layer)
                size = sizes[name] = min(len(rows), len(others) // 2)
                pairs = random_sets(len(others), size, runs, self.recipe.seed)
                draw = np.random.default_rng(self.recipe.seed)
                concepts[name], random[name] = [], []
                for run, (one, other) in enumerate(pairs):
                    mine, seed = rows[draw.permutation(len(rows))[:size]], self.recipe.seed + run
                    concepts[name].append(separate(mine, others[one], how, seed))
                    random[name].append(separate(others[other], others[one], how, seed))
            self._cuts[layer] = LayerCuts(concepts, random, sizes)
        return self._cuts[layer]

    def directions(self, layer: str) -> Directions:
        """The concepts' vectors of norm 1, the means over the random sets.

        With the bias, a preactivation above 0 is on the concept's side. Without pooling, they are what the vectors make
        of activations that are the same at all places.
        """
        found = [mean_cut(cuts) for cuts in self.cuts(layer).concepts.values()]
        vectors, biases = np.stack([cut.vector for cut in found]), np.array([cut.bias for cut in found])
        if not self.pooled:
            vectors = vectors.reshape(len(vectors), self.others.collected.shapes[layer][0], -1).sum(2)
        lengths = np.linalg.norm(vectors, axis=1)
        return Directions(
            layer,
            torch.from_numpy(vectors / lengths[:, None]),
            encoder_bias=torch.from_numpy(biases / lengths),
            names=list(self.concepts),
            method="cav",
            model=self.model.spec,
            sha256=self.model.sha256,
            source="; ".join(f"{name}: {place}" for name, place in self.recipe.concepts.items()),
        )

    @cached_property
    def classes(self) -> dict[int, list[str]]:
        """The places of each class's photographs."""
        if not self.recipe.places:
            return {}
        count, names = count_classes(self.model, size=self.size), self.model.categories
        named = [split_name(place) for place in self.recipe.places]
        own: dict[int, list[str]] = {}
        for name, place in named:
            for index in parse_classes(name, count, names, self.model.spec) if name else ():
                own.setdefault(index, []).append(place)
        shared = [place for name, place in named if not name]
        chosen = () if self.recipe.class_ is None else parse_classes(self.recipe.class_, count, names, self.model.spec)
        if missing := [index for index in chosen if index not in own and not shared]:
            raise BadInput(f"class {class_name(names, missing[0])} has no photographs: give images CLASS=FOLDER for it")
        return {index: [*own.get(index, []), *shared] for index in dict.fromkeys([*chosen, *own])}

    @cached_property
    def photographs(self) -> dict[int, PictureSet]:
        """The photographs of each class."""
        channels, values = len(self.model.mean), self.model.value_range
        return {index: picture_set(places, channels, values) for index, places in self.classes.items()}

    def gradients(self, layer: str) -> Iterator[tuple[int, Array]]:
        """Of each class with its logit's gradients at a layer, (B, F); those on disk are not computed again."""
        from inverter.batching import pictures_at_once
        from objectives import logit

        together = self.batch or pictures_at_once(self.model, [""], self.size, gradient=True)
        for done, (index, pictures) in enumerate(self.photographs.items()):
            file = self.folder / "gradients" / safe_name(layer) / f"{index}-{self._digest(index)}.npy"
            if not file.is_file() or self.recipe.fresh:
                parts = [
                    sensitivity_gradients(
                        self.model, batch.images.to(self.model.device), logit(index), layer, self.pooled
                    )
                    for batch in pictures.batches(self.size, together)
                    if batch.indices
                ]
                if not parts:
                    raise BadInput(f"none of the {plural(len(pictures), 'photograph')} of class {index} can be read")
                buffer = io.BytesIO()
                np.save(buffer, np.concatenate(parts))
                write_bytes(file, buffer.getvalue())
                if self.progress is not None:
                    self.progress(RunProgress(done + 1, len(self.classes), 0, "class"))
            yield index, np.load(file)

    def _digest(self, index: int) -> str:
        """Of all that the gradients of a class depend on."""
        pictures, model = (self.classes[index], self.photographs[index].digest), self.model
        known = (model.sha256, model.mean, model.std, self.size, self.pooled, pictures)
        return hashlib.sha256(repr(known).encode(errors="surrogateescape")).hexdigest()[:16]

    def metrics(self, records: Sequence[Record], folder: Path) -> dict[str, dict[str, Any]]:
        """The measurements of each finished picture, by file, and the pictures of the concepts in the folder."""
        shown = {name: self._show(name, folder) for name in self.concepts}
        tests = len(records) * len(self.classes)
        found: dict[str, dict[str, Any]] = {}
        photographs = {class_name(self.model.categories, i): len(pictures) for i, pictures in self.photographs.items()}
        said = few({n: len(each.readable) for n, each in self.concepts.items()}, len(self.others.readable), photographs)
        for layer in dict.fromkeys(record.layer for record in records):
            cuts = self.cuts(layer)
            for record in (record for record in records if record.layer == layer):
                name = str(record.name)
                accuracies = [cut.accuracy for cut in cuts.concepts[name]]
                found[record.file] = {
                    "accuracy": float(np.mean(accuracies)),
                    "accuracy_spread": float(np.std(accuracies, ddof=1)),
                    "random_accuracy": float(np.mean([cut.accuracy for cut in cuts.random[name]])),
                    "pictures": len(self.concepts[name].readable),
                    "set": cuts.sizes[name],
                    "shown": shown[name],
                    "few": said,
                    "tcav": [],
                }
            for index, gradients in self.gradients(layer):
                for record in (record for record in records if record.layer == layer):
                    name = str(record.name)
                    concept, random = (
                        np.stack([cut.vector for cut in each[name]]) for each in (cuts.concepts, cuts.random)
                    )
                    values = asdict(compare_with_random(gradients, concept, random))
                    found[record.file]["tcav"].append(
                        {
                            "class": class_name(self.model.categories, index),
                            "index": index,
                            "photographs": len(gradients),
                            **values,
                            "significant": values["p"] < self.recipe.significance / tests,
                        }
                    )
        return found

    def _show(self, name: str, folder: Path) -> list[str]:
        """Writes some pictures of a concept; returns their files."""
        found, files = self.concepts[name], list[str]()
        for index in found.readable[:SHOWN]:
            file = f"pictures/{safe_name(name)}/{index:04d}.jpg"
            if not (folder / file).is_file():
                write_jpeg(folder / file, Showing.of(self.model).picture(found.pictures.read(index, self.size)))
            files.append(file)
        return files

"""The collector: it keeps the network's activations, and an interrupted pass leaves the same bytes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import Dataset

from inverter import Model, encode, load_model
from recipes.activations.collect import CollectedActivations, collect
from recipes.activations.reducers import Extremes, Positions, Reducer
from recipes.executors.progress import RunProgress
from recipes.pictures.reading import fit, read_picture


@pytest.fixture
def tiny(tiny_net: nn.Module) -> Model:
    return load_model(tiny_net, input_size=12)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eleven pictures of several sizes and modes, and three files that cannot be read."""
    place = tmp_path / "pictures"
    (place / "below").mkdir(parents=True)
    draw = np.random.default_rng(0)
    for index in range(11):
        shape = (12 + 5 * (index % 3), 14 + index)
        mode = ("RGB", "L", "RGBA", "I;16")[index % 4]
        bands = {"RGB": (3,), "L": (), "RGBA": (4,), "I;16": ()}[mode]
        kind = "uint16" if mode == "I;16" else "uint8"
        array = draw.integers(0, np.iinfo(kind).max, (*shape, *bands)).astype(kind)
        Image.fromarray(array).save((place / "below" if index == 7 else place) / f"{index:02d}.png")
    (place / "03b.jpg").write_bytes(b"no picture")
    (place / "05b.png").write_bytes((place / "05.png").read_bytes()[:80])
    Image.new("RGB", (1000, 9)).save(place / "06b.png")
    return place


def contents(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def codes(model: Model, found: CollectedActivations, files: dict[str, Path], layer: str) -> dict[int, Tensor]:
    """The complete activation of each readable picture, each in a forward pass of its own."""
    named = {index: files[name] for index, name in enumerate(found.names) if name not in found.skipped}
    return {i: encode(model, fit(read_picture(file), found.size)[None], layer)[layer][0] for i, file in named.items()}


def files_of(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in folder.rglob("*") if path.is_file()}


LAYERS = ("stem", "body")


@pytest.mark.parametrize("positions", ["one", 4, "all", 10_000])
@pytest.mark.parametrize("border", [False, True])
def test_a_vector_is_the_activation_at_its_position(
    tiny: Model, folder: Path, tmp_path: Path, positions: Any, border: bool
) -> None:
    reducer = Positions(positions, border=border, dtype="float32")
    found = collect(tiny, folder, LAYERS, reducer, out=tmp_path / "out", batch=4)
    full = 144 if border else 100
    each = {"one": 1, 4: 4}.get(positions, full)
    for layer in LAYERS:
        expected = codes(tiny, found, files_of(folder), layer)
        vectors, where = found.vectors(layer), found.where(layer)
        assert vectors.shape == (11 * each, 8)
        assert vectors.dtype == np.float32
        assert where[:, 0].tolist() == [index for index in expected for _ in range(each)]
        low, high = (0, 11) if border else (1, 10)
        assert where[:, 1:].min() >= low
        assert where[:, 1:].max() <= high
        assert len(np.unique(where, axis=0)) == len(where)
        truth = np.stack([expected[int(i)][:, y, x].numpy() for i, y, x in where])
        np.testing.assert_allclose(vectors, truth, atol=1e-5)


def test_draws_differ_between_pictures_layers_and_seeds_and_cover_the_map(tiny: Model, tmp_path: Path) -> None:
    pictures = Pictures(60)
    first = collect(tiny, pictures, LAYERS, Positions(3), out=tmp_path / "a")
    again = collect(tiny, pictures, LAYERS, Positions(3), out=tmp_path / "b", batch=7)
    other = collect(tiny, pictures, LAYERS, Positions(3, seed=1), out=tmp_path / "c")
    assert np.array_equal(first.where("stem"), again.where("stem"))  # whatever the batches
    assert not np.array_equal(first.where("stem"), other.where("stem"))
    assert not np.array_equal(first.where("stem"), first.where("body"))
    drawn = first.where("stem")[:, 1] * 12 + first.where("stem")[:, 2]
    assert len(np.unique(drawn)) > 75  # of 100: 180 draws leave out about 16


class Pictures(Dataset[tuple[Tensor, int]]):
    """Noise, with a label; `bad` items raise an error."""

    def __init__(self, count: int, bad: tuple[int, ...] = ()) -> None:
        self.count, self.bad = count, bad

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if index in self.bad:
            raise KeyError(f"no picture at {index}")
        return torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(index)), 7


@pytest.mark.parametrize(
    "convert",
    [lambda t: t, lambda t: (t * 255).round().byte(), lambda t: (Image.fromarray(_bytes(t)), 3)],
    ids=["tensor", "bytes", "PIL"],
)
def test_a_dataset_may_hold_tensors_bytes_or_pillows_pictures(
    tiny: Model, tmp_path: Path, convert: Callable[[Tensor], Any]
) -> None:
    class Converted(Pictures):
        def __getitem__(self, index: int) -> Any:
            return convert((super().__getitem__(index)[0] * 255).round() / 255)

    plain = [(Pictures(5)[i][0] * 255).round() / 255 for i in range(5)]
    found = collect(tiny, Converted(5), "stem", Positions("all", border=True, dtype="float32"), out=tmp_path / "out")
    truth = encode(tiny, torch.stack([fit(picture, (12, 12)) for picture in plain]), "stem")["stem"]
    np.testing.assert_allclose(found.vectors("stem"), truth.permute(0, 2, 3, 1).flatten(0, 2), atol=1e-5)
    assert list(found.names) == ["0", "1", "2", "3", "4"]


def _bytes(picture: Tensor) -> np.ndarray[Any, Any]:
    return (picture * 255).round().byte().permute(1, 2, 0).numpy()


def test_what_cannot_be_read_is_named_with_a_reason_and_the_rest_is_there(
    tiny: Model, folder: Path, tmp_path: Path
) -> None:
    found = collect(tiny, folder, "stem", out=tmp_path / "out", batch=4)
    assert set(found.skipped) == {"03b", "05b", "06b"}
    assert "03b.jpg cannot be read as a picture" in found.skipped["03b"]
    assert "too narrow: 9x1000" in found.skipped["06b"]
    assert len(found.names) == 14
    assert len(found.vectors("stem")) == 11
    bad = collect(tiny, Pictures(9, bad=(0, 1, 2, 3, 7)), "stem", out=tmp_path / "bad", batch=4)
    assert bad.where("stem")[:, 0].tolist() == [4, 5, 6, 8]
    assert set(bad.skipped) == {"0", "1", "2", "3", "7"}
    assert "no picture at 7" in bad.skipped["7"]


@pytest.mark.parametrize("layer", ["body", ""])
def test_extremes_are_those_of_each_channel_in_each_picture(
    tiny: Model, folder: Path, tmp_path: Path, layer: str
) -> None:
    found = collect(tiny, folder, [layer], Extremes(), out=tmp_path / "out", batch=4)
    for row, (index, code) in enumerate(codes(tiny, found, files_of(folder), layer).items()):
        flat = code.flatten(1) if code.ndim == 3 else code[:, None]
        take = {name: torch.from_numpy(found.array(layer, name)[row].copy()) for name in ("high", "low", "mean")}
        at = {name: torch.from_numpy(found.array(layer, name)[row].copy()).long() for name in ("high_at", "low_at")}
        assert found.array(layer, "picture")[row] == index
        torch.testing.assert_close(take["high"], flat.amax(1), atol=1e-5, rtol=0)
        torch.testing.assert_close(take["low"], flat.amin(1), atol=1e-5, rtol=0)
        torch.testing.assert_close(take["mean"], flat.mean(1), atol=1e-5, rtol=0)
        torch.testing.assert_close(flat.gather(1, at["high_at"][:, None])[:, 0], flat.amax(1), atol=1e-5, rtol=0)
        torch.testing.assert_close(flat.gather(1, at["low_at"][:, None])[:, 0], flat.amin(1), atol=1e-5, rtol=0)
        centre = code[:, 6, 6] if code.ndim == 3 else code
        np.testing.assert_allclose(found.array(layer, "centre")[row], centre, atol=1e-5)
        np.testing.assert_allclose(found.array(layer, "active")[row], (flat > 0).float().mean(1), atol=0.02)


REDUCERS: tuple[Reducer, ...] = (Positions(3), Positions("all"), Extremes())


@pytest.mark.parametrize("reducer", REDUCERS, ids=str)
def test_a_pass_that_is_interrupted_at_any_point_leaves_the_same_bytes(
    tiny: Model, folder: Path, tmp_path: Path, reducer: Reducer
) -> None:
    collect(tiny, folder, LAYERS, reducer, out=tmp_path / "complete", batch=3)
    complete = contents(tmp_path / "complete")
    for at in range(6):
        out = tmp_path / f"stopped-{at}"

        def stop(update: RunProgress, at: int = at) -> None:
            if update.finished + update.done >= min(3 * at, 14):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            collect(tiny, folder, LAYERS, reducer, out=out, batch=3, progress=stop)
        if at < 5:
            with pytest.raises(ValueError, match="is not finished"):
                CollectedActivations.load(out)
            assert json.loads((out / "activations.json").read_text())["done"] == min(3 * at, 14)
        seen: list[RunProgress] = []
        collect(tiny, folder, LAYERS, reducer, out=out, batch=3, progress=seen.append)
        assert contents(out) == complete
        assert all(update.finished == min(3 * at, 14) for update in seen)


def test_rows_behind_the_last_note_are_cut_off(tiny: Model, folder: Path, tmp_path: Path) -> None:
    """What a kill leaves: half a batch in one of the files, and a header that does not count it."""
    collect(tiny, folder, LAYERS, out=tmp_path / "complete", batch=3)

    def stop(update: RunProgress) -> None:
        if update.done >= 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect(tiny, folder, LAYERS, out=tmp_path / "out", batch=3, progress=stop)
    for name, more in (("stem/vectors.npy", b"\1" * 20), ("body/where.npy", b"\1" * 5)):
        with (tmp_path / "out" / name).open("ab") as file:
            file.write(more)
    collect(tiny, folder, LAYERS, out=tmp_path / "out", batch=3)
    assert contents(tmp_path / "out") == contents(tmp_path / "complete")


def test_a_finished_pass_is_not_made_again(tiny: Model, folder: Path, tmp_path: Path) -> None:
    collect(tiny, folder, "stem", out=tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    seen: list[RunProgress] = []
    collect(tiny, folder, "stem", out=tmp_path / "out", progress=seen.append)
    assert seen == []
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before


def test_other_settings_are_refused_and_fresh_starts_over(tiny: Model, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    collect(tiny, folder, "stem", out=out)
    for options, says in (
        ({"reducer": Positions(2)}, "its positions is 'one', not 2"),
        ({"layers": "body"}, "its layers"),
        ({"size": 16}, "its size"),
        ({"reducer": Extremes()}, "its reducer"),
        ({"batch": 3}, "its batch"),
        ({"pictures": Pictures(14)}, "its names"),
    ):
        with pytest.raises(ValueError) as caught:
            collect(tiny, **({"pictures": folder, "layers": "stem", "out": out} | options))
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)
    assert len(collect(tiny, folder, "stem", Positions(2), out=out, fresh=True).vectors("stem")) == 22


def test_the_network_is_as_it_was(tiny_net: nn.Module, folder: Path, tmp_path: Path, snapshot: Any) -> None:
    before = snapshot(tiny_net)
    collect(tiny_net, folder, "body", out=tmp_path / "out", size=12)
    assert snapshot(tiny_net) == before


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Unflatten(1, (3, 1))  # (B, C, T, H, W)

    def forward(self, x: Tensor) -> Tensor:
        return self.tokens(x)


class Huge(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.same = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.same(x * 1e6)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"pictures": "nowhere"}, "no picture or folder 'nowhere'"),
        ({"pictures": "empty"}, "there is no picture in 'empty'"),
        ({"pictures": []}, "got no pictures"),
        ({"pictures": Pictures(0)}, "holds no pictures"),
        ({"pictures": iter([1])}, "expected a folder, files, or a Dataset with a length"),
        ({"pictures": "bad"}, "none of the 2 pictures can be read; the first: bad/"),
        ({"pictures": Pictures(3, bad=(0, 1, 2))}, "none of the 3 pictures can be read"),
        ({"layers": "head"}, "layer 'head' outputs (5,) per picture, not a map (C, H, W)"),
        ({"layers": ""}, "not a map"),
        ({"layers": "bdy"}, "no layer 'bdy'"),
        ({"layers": []}, "got no layers"),
        ({"size": 0}, "got 0"),
        ({"batch": 0}, "got 0"),
        ({"out": "file"}, "is a file"),
        ({"model": Tokens(), "layers": "tokens", "reducer": Extremes(), "size": 8}, "expected a map (B, C, H, W)"),
        ({"model": Huge(), "layers": "same", "size": 8}, "set dtype to float32"),
    ],
    ids=lambda given: given if isinstance(given, str) else "+".join(given),  # no addresses: processes agree on them
)
def test_a_mistake_is_one_line(
    tiny: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("bad").mkdir()
    Path("bad/a.png").write_bytes(b"")
    Path("bad/b.png").write_bytes(b"\x89PNG")
    Path("file").write_text("")
    known: dict[str, Any] = {"model": tiny, "pictures": Pictures(3), "layers": "stem", "out": "out"}
    with pytest.raises((ValueError, LookupError, OSError)) as caught:
        collect(**(known | options))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_on_photographs_the_vectors_are_a_trained_networks(
    squeezenet: Model, shared_data: Path, tmp_path: Path
) -> None:
    files = sorted((shared_data / "images/imagenet").glob("*.jpg"))[:10]
    found = collect(squeezenet, files, ["features.3", "features.12"], Positions(5), out=tmp_path / "out", batch=4)
    assert found.shapes == {"features.3": (128, 54, 54), "features.12": (512, 13, 13)}
    for index, file in enumerate(files):
        code = encode(squeezenet, fit(read_picture(file), (224, 224))[None], "features.12")["features.12"][0]
        mine = found.where("features.12")[:, 0] == index
        truth = np.stack([code[:, y, x].numpy() for _, y, x in found.where("features.12")[mine]])
        np.testing.assert_allclose(found.vectors("features.12")[mine], truth, rtol=2e-3, atol=2e-2)

"""On a simulated GPU: every method computes the same maps as on the CPU, and does not mix devices."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten_with_path

from inverter import Model, load_model
from recipes.attribution import explain
from recipes.attribution.measures.judge import Effort, Judge
from recipes.attribution.registry import NAMES, MethodChoice
from recipes.heatmaps.picture_batch import PictureBatch
from recipes.options.targets import Target
from tests.pretended import PretendedDevice

pytestmark = pytest.mark.usefixtures("float32_alone")


class Pooled(nn.Module):
    """A network with everything that the methods require: pooling, a pooled head and a gated branch."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace=True))
        self.pool = nn.MaxPool2d(2)
        self.body = nn.Conv2d(6, 6, 3, padding=1)
        self.last = nn.Identity()
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.stem(x))
        return self.head(self.last(x + self.body(x).sigmoid() * x).mean((2, 3)))


@pytest.fixture(scope="module")
def pooled() -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        return load_model(Pooled().eval(), input_size=16, device="cpu")


OTHERS = (
    "rise:masks=20,fit=false,baseline=blur",
    "saliency:crops=true",
    "meaningful-perturbation:steps=3,cells=5,fill=noise",
    "lrp:rule=alpha-beta",
    "excitation-backprop:contrastive=true",
    "legrad:layers=0",
)


@pytest.mark.parametrize("method", [*(name for name in NAMES if name != "linear-shap"), *OTHERS])
def test_every_method_draws_the_same_maps(
    pooled: Model, transformer: Model, pictures: Tensor, quick: Callable[[str], str], method: str
) -> None:
    model = transformer if MethodChoice.parse(method).method().attention else pooled
    here = explain(model, pictures, "logit:3", quick(method))
    with PretendedDevice() as gpu:
        there = explain(model.on("cuda"), pictures, "logit:3", quick(method))
    assert gpu.copies.total() > 0
    assert there.device.type == "cpu"
    torch.testing.assert_close(there, here, rtol=1e-3, atol=1e-4 * float(here.abs().max()))
    assert here.any()


def test_a_linear_score_has_the_same_map(pictures: Tensor) -> None:
    model = load_model(nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 2)).eval(), device="cpu", input_size=16)
    here = explain(model, pictures, "logit:1", "linear-shap")
    with PretendedDevice():
        torch.testing.assert_close(explain(model.on("cuda"), pictures, "logit:1", "linear-shap"), here)


def test_more_masks_make_the_host_wait_no_more_often(pooled: Model, pictures: Tensor) -> None:
    def waits(masks: int) -> PretendedDevice:
        with PretendedDevice() as gpu:
            explain(pooled.on("cuda"), pictures, "logit:3", f"rise:masks={masks}")
        return gpu

    few, many = waits(65), waits(200)  # one group and a remainder, and four groups
    # The scores of all groups are transferred once, at the end.
    assert many.waits == few.waits


def test_what_is_measured_of_maps_is_the_same(pooled: Model, pictures: Tensor) -> None:
    effort = Effort(points=4, depths=2, squares=6)

    def metrics(model: Model) -> list[tuple[str, object]]:
        judge = Judge(model, pictures, Target.parse("logit:3"), boxes=[[(2, 2, 8, 8)]] * 3, effort=effort)
        verdicts = judge(MethodChoice("grad-cam"))
        found = [verdict.metrics | {"seconds": 0.0} for verdict in verdicts] + judge.random_baseline()
        return [(path.__str__(), leaf) for path, leaf in tree_flatten_with_path(found)[0]]

    here = metrics(pooled)
    with PretendedDevice():
        there = metrics(pooled.on("cuda"))
    assert len(here) > 50
    for (name, value), (same_name, known) in zip(there, here, strict=True):
        assert name == same_name
        assert value == (pytest.approx(known, rel=1e-3, abs=1e-3) if isinstance(known, float) else known), name


def test_scores_and_pre_images_are_the_same(pooled: Model, pictures: Tensor) -> None:
    names = ["a", "b", "c"]

    def results(model: Model) -> tuple[object, Tensor]:
        batch = PictureBatch(model, names, pictures)
        scores = batch.scores_of(Target.parse("logit:3"))
        return (scores.channels, scores.scores), batch.preimages("body", steps=2, seed=0)

    (channels, scores), preimages = results(pooled)
    with PretendedDevice():
        (channels_there, scores_there), preimages_there = results(pooled.on("cuda"))
    assert channels_there == channels
    assert scores_there == pytest.approx(scores, rel=1e-4)
    torch.testing.assert_close(preimages_there, preimages, rtol=0, atol=1e-2)

"""inverter: feature visualization and model inversion of trained vision networks, by optimising pictures."""

from inverter.augment import PRESETS, Augment
from inverter.batch_norm import batch_norm_statistics
from inverter.codes import Code, encode, load_code
from inverter.directions.directions import Directions
from inverter.engine import optimize
from inverter.fields.receptive_field import ReceptiveField, receptive_fields
from inverter.identity import no_network
from inverter.layer_info import LayerInfo, layers, stages
from inverter.listing import list_layers, list_models
from inverter.loading import load_model
from inverter.loop.film import Film
from inverter.loop.graphs import Graphs
from inverter.loop.progress import Progress, ProgressCallback
from inverter.models import Model
from inverter.result import Inversion, to_pil
from inverter.scoring import evaluate
from inverter.settings import Settings
from inverter_errors import (
    BadInput,
    BadType,
    GuessedSizeWarning,
    InverterError,
    LayerNotFound,
    MissingFile,
    MissingLibrary,
    NotFound,
    OutOfMemory,
    OutOfRange,
    RunFailed,
    Unreachable,
)

__version__ = "0.1.0"

__all__ = [
    "PRESETS",
    "Augment",
    "BadInput",
    "BadType",
    "Code",
    "Directions",
    "Film",
    "Graphs",
    "GuessedSizeWarning",
    "Inversion",
    "InverterError",
    "LayerInfo",
    "LayerNotFound",
    "MissingFile",
    "MissingLibrary",
    "Model",
    "NotFound",
    "OutOfMemory",
    "OutOfRange",
    "Progress",
    "ProgressCallback",
    "ReceptiveField",
    "RunFailed",
    "Settings",
    "Unreachable",
    "__version__",
    "batch_norm_statistics",
    "encode",
    "evaluate",
    "layers",
    "list_layers",
    "list_models",
    "load_code",
    "load_model",
    "no_network",
    "optimize",
    "receptive_fields",
    "stages",
    "to_pil",
]


def __dir__() -> list[str]:
    return sorted(__all__)

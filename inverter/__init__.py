"""inverter: asks a trained vision network what it sees, by optimising pictures."""

from inverter.augment import PRESETS, Augment
from inverter.codes import Code, encode, load_code
from inverter.engine import Progress, ProgressCallback, optimize
from inverter.layer_info import LayerInfo, layers, stages
from inverter.loading import load_model
from inverter.models import Model, no_network
from inverter.receptive_field import ReceptiveField, receptive_fields
from inverter.result import Inversion, to_pil
from inverter.scoring import evaluate
from inverter.settings import Settings

__version__ = "0.1.0"

__all__ = [
    "PRESETS",
    "Augment",
    "Code",
    "Inversion",
    "LayerInfo",
    "Model",
    "Progress",
    "ProgressCallback",
    "ReceptiveField",
    "Settings",
    "__version__",
    "encode",
    "evaluate",
    "layers",
    "load_code",
    "load_model",
    "no_network",
    "optimize",
    "receptive_fields",
    "stages",
    "to_pil",
]

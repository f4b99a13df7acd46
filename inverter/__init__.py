"""inverter: asks a trained vision network what it sees, by optimising pictures."""

from inverter.augment import PRESETS, Augment
from inverter.codes import Code, encode, load_code
from inverter.engine import Progress, Tick, optimize
from inverter.layers import LayerInfo, layers, stages
from inverter.loading import load_model
from inverter.models import Model
from inverter.receptive_fields import ReceptiveField, receptive_fields
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
    "ReceptiveField",
    "Settings",
    "Tick",
    "__version__",
    "encode",
    "evaluate",
    "layers",
    "load_code",
    "load_model",
    "optimize",
    "receptive_fields",
    "stages",
    "to_pil",
]

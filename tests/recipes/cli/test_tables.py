"""Tables on standard output."""

import pytest

from inverter import LayerInfo
from recipes.cli.tables import print_layers


@pytest.mark.parametrize("columns", ["80", "40"])
def test_a_narrow_terminal_cuts_no_address_off(
    columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    name = "feature_extractor.intermediate_representation.0." + "x" * 200
    print_layers([LayerInfo(name, "BatchNorm2d", 1, 3, (32, 32), 3.0, True)])
    out = capsys.readouterr().out
    assert name in out
    assert "…" not in out

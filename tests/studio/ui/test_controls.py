"""Declared parameters become controls without anybody knowing the stage."""

from dataclasses import dataclass

from core.contract.params import choice, describe, number, registered, switch, text
from core.contract.plugins import Plugins
from studio.ui.controls import control


@dataclass(frozen=True)
class Params:
    strength: float = number(0.8, 0.0, 1.0, help="How much")
    radius_frames: int = number(2, 0, 12, help="How far", unit="frames")
    way: str = choice("a", ("a", "b"), help="Which")
    local: bool = switch(True, help="Whether")
    size: str = text("", help="WxH")
    flow: str = registered("dis", "flows", help="By whom")
    by: str = registered("plain", "flows", help="By whom, or plainly", besides=("plain",))


def test_each_kind_has_its_control():
    plugins = Plugins()
    for name in ("dis", "of a stranger"):
        plugins.flows.add(name, lambda device: None)
    rows = {row["name"]: control(row, plugins) for row in describe(Params)}
    assert [rows[n]["kind"] for n in rows] == ["slider", "slider", "choice", "switch", "text", "choice", "choice"]
    assert rows["strength"]["step"] == 0.005
    assert (rows["radius_frames"]["step"], rows["radius_frames"]["unit"]) == (1, "frames")
    assert rows["radius_frames"]["label"] == "radius frames"
    assert rows["way"]["options"] == ["a", "b"]
    assert rows["flow"]["options"] == ["dis", "of a stranger"]
    assert rows["by"]["options"] == ["plain", "dis", "of a stranger"]
    assert (rows["local"]["default"], rows["size"]["default"]) == (True, "")

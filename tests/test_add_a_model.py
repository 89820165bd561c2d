"""docs/add-a-model.md says what is so: its very files, installed as a package, are on the shelf and make pictures."""

from __future__ import annotations

import importlib
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import app
from core.contract.plugins import GROUP
from core.contract.recipe import Recipe, StageSpec
from core.film.frame import on_grid
from core.film.shot import shots_from_cuts
from core.models.shelf import model_folder
from core.render.cache import FrameCache
from core.render.renderer import Renderer
from studio.ui.controls import stage_cards
from tests.contracts.registered import Film

PAGE = Path(app.__file__).parent / "docs" / "add-a-model.md"
PACKAGE, ESTIMATOR = "pochoir_unsharp", "pochoir_shift"


def blocks(kind: str) -> list[str]:
    """What stands in the page's fences of that kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The page's packages where Python finds them, as an installer would leave them; a model folder that is empty."""
    site = tmp_path / "site"
    project = tomllib.loads(blocks("toml")[0])["project"]
    net, adapter, flow = blocks("python")
    (site / PACKAGE).mkdir(parents=True)
    (site / PACKAGE / "net.py").write_text(net, "utf-8")
    (site / PACKAGE / "__init__.py").write_text(adapter, "utf-8")
    (site / f"{ESTIMATOR}.py").write_text(flow, "utf-8")
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = [tomllib.loads(text)["project"]["entry-points"] for text in blocks("toml")]
    named = [f"{name} = {value}\n" for group in groups for name, value in group[GROUP].items()]
    assert [*map(list, groups)] == [[GROUP]] * 2
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n" + "".join(named))
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("POCHOIR_MODELS", str(tmp_path / "models"))
    yield tmp_path
    for name in [n for n in sys.modules if n.partition(".")[0] in (PACKAGE, ESTIMATOR)]:
        del sys.modules[name]


def told(capsys: pytest.CaptureFixture[str], *args: str) -> dict:
    assert app.main([*args, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def rendered(folder: Path) -> list[np.ndarray]:
    film = Film(2, colour=True)
    recipe = Recipe.from_json(blocks("json")[0])
    line = Renderer(film, shots_from_cuts((), 2), recipe, app.builtins(), FrameCache(folder), device="cpu")
    return [frame.rgb for frame in line.render()]


def test_the_page_is_installed_listed_imported_and_makes_pictures(installed, capsys, caplog):
    listed = {m["id"]: m for m in told(capsys, "models", "list")["models"]}
    assert (listed["unsharp"]["state"], listed["unsharp"]["licence"]) == ("missing", "MIT")
    assert len(listed) == len(app.builtins().cards) > 1
    assert app.main(["models", "fetch", "unsharp", "--from", str(installed / "none.pth")]) == 2
    assert "none.pth: no such file" in capsys.readouterr().err

    # Weights that only repeat each pixel: the picture is then known.
    net = importlib.import_module(f"{PACKAGE}.net").Unsharp()
    for name, tensor in net.state_dict().items():
        tensor.zero_()
        if name == "conv.weight":
            for channel in range(12):
                tensor[channel, channel // 4, 1, 1] = 1
    torch.save(net.state_dict(), installed / "unsharp.pth")
    taken = told(capsys, "models", "import", str(installed / "unsharp.pth"))
    assert (taken["id"], taken["path"]) == ("unsharp", str(model_folder() / "unsharp.safetensors"))
    assert {m["id"]: m["fault"] for m in told(capsys, "models", "verify")["models"]}["unsharp"] is None

    film = Film(2, colour=True)
    for n, picture in enumerate(rendered(installed / "cache")):
        # 53 x 37 twice over: sizes are even, nothing is resampled.
        assert np.array_equal(picture, on_grid(film.frame(n).rgb.repeat(2, axis=0).repeat(2, axis=1)))
    assert caplog.records == []


def test_without_its_checkpoint_one_line_says_how_to_get_it(installed):
    with pytest.raises(Exception, match=r"model 'unsharp': put unsharp\.pth into .*models\.example") as caught:
        rendered(installed / "cache")
    assert type(caught.value).__name__ == "ModelMissingError"
    assert str(caught.value).endswith("until then choose by 'lanczos' instead")


def test_doctor_looks_for_its_checkpoint(installed, capsys):
    def found() -> dict:
        app.main(["doctor", "--json"])  # its status is this machine's
        return {f["subject"]: f for f in json.loads(capsys.readouterr().out)["findings"]}["model unsharp"]

    missing = found()
    assert (missing["state"], missing["found"]) == ("optional", "not there; choose by 'lanczos' instead")
    assert "put unsharp.pth into" in missing["advice"]
    model_folder().mkdir()
    (model_folder() / "unsharp.pth").write_bytes(b"")
    assert (found()["state"], found()["found"]) == ("optional", "damaged; choose by 'lanczos' instead")
    assert "unsharp.pth: is empty; move it away" in found()["advice"]
    (model_folder() / "unsharp.pth").write_bytes(b"not looked into")
    assert (found()["state"], found()["found"]) == ("ok", str(model_folder() / "unsharp.pth"))


def coloured(folder: Path, flow: str) -> Renderer:
    recipe = Recipe((StageSpec("colourise", {"flow": flow, "steady": 1}),))
    return Renderer(Film(3), shots_from_cuts((), 3), recipe, app.builtins(), FrameCache(folder), device="cpu")


def test_the_pages_flow_estimator_is_chosen_by_its_name(installed, monkeypatch):
    luma = np.random.default_rng(4).uniform(10, 90, (48, 64)).astype(np.float32)
    pair = app.builtins().flows.get("shift")("cpu").pair(luma, np.roll(luma, (2, -3), (0, 1)))
    assert (pair.forward == (-3, 2)).all()
    assert (pair.backward == (3, -2)).all()
    assert pair.forward_trust[8:-8, 8:-8].mean() > 0.98

    asked = []
    shift = importlib.import_module(ESTIMATOR).Shift
    whole = shift.pair
    monkeypatch.setattr(shift, "pair", lambda self, a, b: asked.append(a.shape) or whole(self, a, b))
    line = coloured(installed / "cache", "shift")
    assert len(list(line.render())) == 3
    assert len(asked) >= 2
    assert coloured(installed / "cache", "shift").plan().missing["colourise"] == 0
    assert coloured(installed / "cache", "dis").plan().missing["colourise"] == 3
    controls = {c["name"]: c for card in stage_cards(app.builtins()) for c in card["controls"]}
    assert controls["flow"]["options"][-1] == "shift"


def test_without_the_package_the_shelf_has_no_such_card():
    assert "unsharp" not in app.builtins().cards

"""PaddleGAN's words choose networks where their checkpoints are, and say so where they are not."""

from __future__ import annotations

import pytest

from core.contract.recipe import PADDLEGAN, Recipe, StageSpec
from core.errors import InputError
from studio.recipes import NETWORKS, stand_ins, with_options
from tests.contracts.registered import PLUGINS

FILM = Recipe(
    (StageSpec("dedust"), StageSpec("colourise"), StageSpec("upscale", {"factor": 3.0}), StageSpec("interpolate"))
)


def made(*words: str, here: tuple[str, ...] = (), recipe: Recipe = FILM) -> tuple[dict[str, str], list[str]]:
    """Which network does each step, and what is said."""
    checked = with_options(recipe, order=words, here=here).checked(PLUGINS.stages)
    choice = {"colourise": "colouriser", "upscale": "by", "interpolate": "by"}
    return {s.name: s.params[choice[s.name]] for s in checked.active if s.name in choice}, stand_ins(checked, words)


def test_every_word_means_a_step_and_networks_that_can_do_it():
    registry = {"colourise": PLUGINS.colourisers, "upscale": PLUGINS.upscalers, "interpolate": PLUGINS.interpolators}
    assert NETWORKS.keys() == PADDLEGAN.keys()
    for word, named in NETWORKS.items():
        assert set(named.networks) <= set(registry[PADDLEGAN[word]])
        assert set(named.networks) <= {card.id for card in PLUGINS.cards.values()}


@pytest.mark.parametrize(
    ("words", "here", "by"),
    [
        (("DAIN",), ("dain",), {"interpolate": "dain"}),
        (("RIFE",), ("dain", "rife"), {"interpolate": "rife"}),
        (("EDVR",), ("edvr", "edvr-large"), {"upscale": "edvr-large"}),
        (("EDVR",), ("edvr",), {"upscale": "edvr"}),
        (("RealSR",), ("realsr",), {"upscale": "realsr"}),
        (("Real-ESRGAN",), ("realesrgan-x4",), {"upscale": "realesrgan-x4"}),
        (
            ("DAIN", "DeOldify", "EDVR"),
            ("dain", "deoldify-stable", "edvr-large"),
            {"interpolate": "dain", "colourise": "deoldify-stable", "upscale": "edvr-large"},
        ),
        (("interpolate",), ("dain",), {"interpolate": "flow"}),
    ],
)
def test_a_network_that_is_here_does_the_step(words, here, by):
    assert made(*words, here=here) == (by, [])


def test_other_parameters_of_the_step_stay():
    recipe = with_options(FILM, order=["EDVR"], here=["edvr"])
    assert dict(recipe.active[-1].params) == {"factor": 3.0, "by": "edvr"}


def test_a_network_that_is_not_here_is_said_with_what_is_used_instead():
    by, said = made("DAIN", "DeOldify", "EDVR", here=("dain",))
    assert by == {"interpolate": "dain", "colourise": "embedded", "upscale": "lanczos"}
    assert said == [
        "process order: DeOldify is not in the model folder (models fetch deoldify); "
        "step 'colourise' is done by 'embedded' instead",
        "process order: EDVR is not in the model folder (models fetch edvr-large); "
        "step 'upscale' is done by 'lanczos' instead",
    ]
    assert made("BasicVSR+")[1] == [
        "process order: BasicVSR+ is not known here; step 'upscale' is done by 'lanczos' instead"
    ]
    own = FILM.with_step("upscale", by="esrgan")
    assert made("EDVR", recipe=own)[1][0].endswith("step 'upscale' is done by 'esrgan' instead")


def test_a_frame_rate_beside_a_time_step_is_refused():
    stepped = Recipe((StageSpec("interpolate", {"time_step": 0.5}),), "mine")
    with pytest.raises(InputError, match="fps 60: recipe 'mine' sets time_step of interpolate; give one of the two"):
        with_options(stepped, fps="60")
    assert dict(with_options(FILM, fps="30").active[-1].params) == {"rate": "30"}

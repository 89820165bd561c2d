"""Kriging: exact at trusted samples, linear in what they say of a thing, and sure where they are."""

import pytest
import torch

from core.models.kriging import CELL, HEADS, LENGTH, MOST_SAMPLES, Kriging, places_of, samples_of
from core.models.kriging import picture as picture_of

SIZE = (24, 32)


@pytest.fixture
def kriging():
    return Kriging().eval()


@pytest.fixture
def picture():
    """Two surfaces, left and right, that differ in affinity; automatic chroma of one colour."""
    generator = torch.Generator().manual_seed(0)
    affinity = torch.zeros(HEADS * LENGTH, *SIZE)
    affinity[:, :, 16:] = 3.0
    affinity += 0.05 * torch.randn(affinity.shape, generator=generator)
    return affinity, torch.full((1, *SIZE), 0.2), torch.full((2, *SIZE), 0.05)


def hint(y, x, colour, trust=1.0, side=4):
    asked, weight = torch.zeros(2, *SIZE), torch.zeros(1, *SIZE)
    asked[:, y : y + side, x : x + side] = torch.tensor(colour)[:, None, None]
    weight[:, y : y + side, x : x + side] = trust
    return asked, weight


@torch.no_grad()
def field(kriging, picture, asked, weight):
    places, samples = picture_of(*picture, asked, weight)
    found = picture[2] if samples is None else kriging(places, samples).T.reshape(2, *SIZE)
    return found, kriging.deviation(places, samples).reshape(1, *SIZE)


def test_a_trusted_sample_is_met_and_its_surface_follows(kriging, picture):
    found, deviation = field(kriging, picture, *hint(8, 4, (0.4, -0.3)))
    asked = torch.tensor([0.4, -0.3])
    assert (found[:, 8:12, 4:8].mean(dim=(1, 2)) - asked).norm() < 0.03
    moved = (found - picture[2]).norm(dim=0)
    assert moved[:, :14].mean() > 3 * moved[:, 18:].mean()
    assert deviation[0, 8:12, 4:8].mean() < 0.5 * deviation[0, :, 18:].mean()


def test_what_is_carried_from_a_thing_is_linear_in_what_is_asked(kriging, picture):
    with torch.no_grad():
        kriging.scene.copy_(torch.tensor([0.0, 0, 0, 0, -40, 0, 0]))
    _, weight = hint(8, 4, (0.0, 0.0))
    weight += hint(12, 20, (0.0, 0.0), trust=0.5)[1]
    one, other = torch.randn(2, 2, *SIZE, generator=torch.Generator().manual_seed(1)) * 0.2
    base = picture[2]
    change = [field(kriging, picture, base + part, weight)[0] - base for part in (one, other, one + 2 * other)]
    assert torch.allclose(change[2], change[0] + 2 * change[1], atol=1e-4)
    same = field(kriging, picture, base, weight)[0]
    assert torch.allclose(same, base, atol=1e-6)


def test_hints_all_over_speak_of_the_whole_picture_and_a_strange_one_of_a_thing(kriging, picture):
    asked, weight = torch.zeros(2, *SIZE), torch.zeros(1, *SIZE)
    for y, x in ((2, 2), (18, 2), (2, 26), (18, 26)):
        part, here = hint(y, x, (0.15, 0.02))
        asked, weight = asked + part, weight + here
    strange = hint(18, 2, (0.9, -0.9))
    far = (slice(None), slice(10, 13), slice(14, 17))  # between all of them, and away from the strange one
    told = [
        (field(kriging, picture, *said)[0] - picture[2])[far].mean(dim=(1, 2)).norm() / (colour - 0.05).norm()
        for said, colour in (((asked, weight), torch.tensor([0.15, 0.02])), (strange, torch.tensor([0.9, -0.9])))
    ]
    assert told[0] > 1.5 * told[1]


def test_no_sample_leaves_all_as_it_is(kriging, picture):
    found, deviation = field(kriging, picture, torch.ones(2, *SIZE), torch.zeros(1, *SIZE))
    assert torch.equal(found, picture[2])
    assert torch.allclose(deviation, picture[1] * torch.exp(kriging.scale))


def test_a_doubtful_sample_says_less(kriging, picture):
    sure, unsure = (
        (field(kriging, picture, *hint(8, 4, (0.4, -0.3), trust))[0] - picture[2])[:, 8:12, 4:8].norm()
        for trust in (1.0, 0.1)
    )
    assert unsure < 0.8 * sure


def test_samples_are_the_means_of_their_cells(picture):
    places = places_of(*picture)
    assert torch.equal(places.at[33] * SIZE[1], torch.tensor([1.0, 1.0]))
    asked, weight = hint(2, 4, (0.5, 0.25), trust=0.5, side=4)  # across two cells, one above the other
    samples = samples_of(places, SIZE, asked, weight)
    assert len(samples.trust) == 2
    assert torch.allclose(samples.ab, torch.tensor([0.5, 0.25]).expand(2, 2))
    assert torch.allclose(samples.trust, torch.full((2,), 0.5))
    assert torch.allclose(samples.cover, torch.tensor([0.5, 0.5]))
    assert torch.allclose(samples.places.at * SIZE[1], torch.tensor([[2.5, 5.5], [4.5, 5.5]]))


def test_dense_hints_become_a_bounded_number_of_samples():
    size = (96, 128)
    places = places_of(torch.zeros(HEADS * LENGTH, *size), torch.ones(1, *size), torch.zeros(2, *size))
    samples = samples_of(places, size, torch.zeros(2, *size), torch.ones(1, *size))
    assert size[0] * size[1] / CELL**2 > MOST_SAMPLES >= len(samples.trust) > MOST_SAMPLES / 5

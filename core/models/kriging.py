"""Hints carried along learned affinities: the field that agrees with them best, and how sure it is.

What hints say beyond the automatic colour is taken for a sample of a random field over the picture. Two places vary
together by how alike the network finds them, by how near they are to each other, and by whether the automatic colour
speaks of both. The best linear estimate of such a field from a few samples is kriging (Gaussian process regression):
exact at trusted hints, no bolder than its covariances allow between them, indifferent to which colours they are, so
that a purple sky is carried as a blue one; and its variance says where a hint would help. Compared with a network that
is shown the hints, nothing need be learned about colours, only about which places belong together; and a frame is
looked at once, whatever is said of it later.

Source: Matheron 1963 (kriging); Rasmussen & Williams 2006, "Gaussian processes for machine learning", algorithm 2.1;
Wilson, Hu, Salakhutdinov & Xing 2016, "Deep kernel learning".
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TOLD = 7  # numbers by which it is judged what hints speak of
HEADS = 4  # notions of being alike
LENGTH = 8  # features to each
CELL = 4  # places to a side of what becomes one sample
MOST_SAMPLES = 256  # beyond them cells are made larger


CONFIRMS = (
    0.1  # mean square of what is asked beyond the automatic colour, in units of doubt, up to which it confirms it
)
NEAR = 0.04  # longer sides within which samples are of one place
LEAST_TRUST = 1e-3  # below it nothing was said


class Places(NamedTuple):
    """Places of a picture, or means over some.

    Attributes:
        affinity: features by which they are compared  [(P, HEADS * LENGTH) float32]
        at: y and x, in units of the longer side       [(P, 2) float32]
        doubt: by how much chroma may be another there  [(P,) float32, above 0]
        ab: the automatic chroma                       [(P, 2) float32]
    """

    affinity: Tensor
    at: Tensor
    doubt: Tensor
    ab: Tensor

    def some(self, index: Tensor) -> Places:
        """Only these of them."""
        return Places(*(part[index] for part in self))


class Samples(NamedTuple):
    """What hints say, cell by cell.

    Attributes:
        places: where
        ab: chroma asked for                              [(M, 2) float32]
        trust: in it                                      [(M,) float32 (0, 1]]
        cover: how much of the cell was spoken of         [(M,) float32 (0, 1]]
    """

    places: Places
    ab: Tensor
    trust: Tensor
    cover: Tensor


def places_of(affinity: Tensor, doubt: Tensor, ab: Tensor) -> Places:
    """All places of one picture, row by row.

    Args:
        affinity: of one picture  [(HEADS * LENGTH, h, w) float32]
        doubt: of it              [(1, h, w) float32]
        ab: its automatic chroma  [(2, h, w) float32]
    """
    h, w = doubt.shape[1:]
    y = torch.arange(h, device=doubt.device, dtype=doubt.dtype)
    x = torch.arange(w, device=doubt.device, dtype=doubt.dtype)
    at = torch.stack(torch.meshgrid(y, x, indexing="ij"), -1).reshape(-1, 2) / max(h, w)
    return Places(affinity.flatten(1).T, at, doubt.flatten(), ab.flatten(1).T)


def samples_of(places: Places, size: tuple[int, int], ab: Tensor, weight: Tensor) -> Samples:
    """Gather what hints say into cells, each the mean of its places by their trust.

    Args:
        places: all of the picture
        size: (h, w) of the picture in places
        ab: chroma asked for  [(2, h, w) float32]
        weight: trust in it   [(1, h, w) float32 [0, 1]]; somewhere above 0

    Returns:
        Samples, at most about MOST_SAMPLES of them
    """
    h, w = size
    cell = CELL
    while (weight > LEAST_TRUST).sum() > MOST_SAMPLES * cell * cell:
        cell *= 2
    planes = torch.cat([places.affinity.T, places.at.T, places.doubt[None], places.ab.T, ab.flatten(1)])
    told = weight.flatten()
    grid = torch.cat([planes * told, told[None], told[None] * told, (told > 0)[None].to(told.dtype)])
    grid = F.pad(grid.reshape(1, -1, h, w), (0, -w % cell, 0, -h % cell))
    sums = F.avg_pool2d(grid, cell)[0].flatten(1)
    sums = sums[:, sums[-3] > LEAST_TRUST / (cell * cell)]
    mean = sums[:-3] / sums[-3]
    k = HEADS * LENGTH
    where = Places(mean[:k].T, mean[k : k + 2].T, mean[k + 2], mean[k + 3 : k + 5].T)
    return Samples(where, mean[k + 5 :].T, sums[-2] / sums[-3], sums[-1].clamp(max=1))


class Kriging(nn.Module):
    """The covariance of chroma between places, and the estimate that follows from it.

    There are two covariances, for a hint can be meant in two ways: as a true colour of the scene, which tells about
    all of it, or as the colour of one thing, which ends where the thing does. Which is likelier is told from what is
    asked: how far it lies from what was expected, in how many places, how far apart these lie, how they differ.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reach = nn.Parameter(torch.log(torch.tensor([0.1, 0.3, 1.2, 4.0])))  # of each head, in longer sides
        # Of each head, and of the whole scene; and by how much the automatic colour may be too strong or too weak.
        self.share = nn.Parameter(torch.tensor([[0.0, 0.1, 1.5, 0.3, 1.1], [0.0, 0.1, 1.5, 0.3, -2.0]]))
        self.strength = nn.Parameter(torch.log(torch.tensor([0.5, 0.2])))
        self.expected = nn.Parameter(torch.tensor(0.8))  # strength of the automatic colour in scenes hinted all over
        self.noise = nn.Parameter(torch.log(torch.tensor(0.02)))  # of a fully trusted sample
        self.ragged = nn.Parameter(torch.log(torch.tensor(0.03)))  # and of one that hardly fills its cell
        self.scene = nn.Parameter(
            torch.tensor([-0.5, 0.5, 1.0, 0.0, 0.0, 1.0, 0.5])
        )  # what tells that the scene is meant
        self.scale = nn.Parameter(torch.zeros(()))  # from the field's deviation to that of chroma

    def forward(self, places: Places, samples: Samples) -> Tensor:
        """Estimate chroma at places from samples; the first part of ``judge``."""
        return self.judge(places, samples)[0]

    def judge(self, places: Places, samples: Samples) -> tuple[Tensor, Tensor]:
        """Estimate chroma at places from samples, and how likely it is that these speak of the whole picture.

        Args:
            places: where it is asked for
            samples: what is known, at least one

        Returns:
            Chroma in the unit of the samples  [(P, 2) float32], and a share  [() float32 (0, 1)]
        """
        (whole, thing), told = self.estimates(places, samples)
        meant = torch.sigmoid(self.scene @ told)
        return meant * whole + (1 - meant) * thing, meant

    def estimates(self, places: Places, samples: Samples) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Estimate chroma if the whole picture is meant and if a thing is, and give what tells which.

        Returns:
            Chroma, twice  [(P, 2) float32 each], and what ``scene`` weighs  [(TOLD,) float32]
        """
        known = samples.places
        noise = torch.diag(self._noise(samples))
        among, to = self._alike(known, known), self._alike(places, known)
        estimates, evidence = [], []
        # Who asks for what is there already confirms it: nothing else is made paler for that.
        asked = ((samples.ab - known.ab) / known.doubt[:, None]).square().sum(1).mean()
        paler = (1 - self.expected) * (1 - torch.exp(-asked / CONFIRMS))
        for kind, expected in ((0, 1 - paler), (1, torch.ones_like(paler))):
            between = among[kind] * torch.outer(known.doubt, known.doubt) + noise
            strength = torch.exp(2 * self.strength[kind])
            columns, likely = [], torch.zeros_like(expected)
            for channel in (0, 1):
                base = known.ab[:, channel]
                left_off = samples.ab[:, channel] - expected * base
                root = torch.linalg.cholesky(between + strength * torch.outer(base, base))
                told = torch.cholesky_solve(left_off[:, None], root)[:, 0]
                near = places.doubt * (to[kind] @ (known.doubt * told))
                columns.append(places.ab[:, channel] * (expected + strength * (base @ told)) + near)
                likely = likely - 0.5 * left_off @ told - root.diagonal().log().sum()
            estimates.append(torch.stack(columns, 1))
            evidence.append(likely)
        return (estimates[0], estimates[1]), self._told(samples, evidence[0] - evidence[1])

    @staticmethod
    def _told(samples: Samples, evidence: Tensor) -> Tensor:
        """What tells whether hints speak of the whole picture  [(TOLD,) float32].

        Source of the evidence, the difference of the log marginal likelihoods: Rasmussen & Williams 2006, section 5.2.
        """
        asked = (samples.ab - samples.places.ab) / samples.places.doubt[:, None]
        share = samples.cover * samples.trust
        share = (share / share.sum())[:, None]
        at = samples.places.at
        middle, centre = (share * asked).sum(0), (share * at).sum(0)
        # In how many places samples gather: one over the chance that two of them are of one place.
        near = torch.exp(-0.5 * (at[:, None] - at).square().sum(2) / NEAR**2)
        gathered = (share[:, 0] @ near @ share[:, 0]).clamp(min=1e-4)
        return torch.stack(
            [
                torch.log((share * asked.square()).sum() + 0.1),
                torch.log(samples.cover.sum() + 0.1) - 2.0,
                10.0 * ((share * (at - centre).square()).sum() + 1e-4).sqrt() - 2.0,
                torch.log((share * (asked - middle).square()).sum() + 0.1),
                torch.ones_like(evidence),
                -torch.log(gathered) - 1.0,
                torch.asinh(evidence),
            ]
        )

    def deviation(self, places: Places, samples: Samples | None) -> Tensor:
        """How far chroma at places may lie from what is estimated there, the strength of the automatic colour aside.

        Args:
            places: where it is asked for
            samples: what is known, or None

        Returns:
            The root of the variance, in the unit of ``doubt``  [(P,) float32, above 0]
        """
        with torch.no_grad():  # learning it must not change what is estimated
            variance = torch.ones_like(places.doubt)
            if samples is not None:
                known = samples.places
                # The narrower covariance: it promises less.
                between = self._alike(known, known)[1] * torch.outer(known.doubt, known.doubt)
                root = torch.linalg.cholesky(between + torch.diag(self._noise(samples)))
                to = self._alike(places, known)[1] * known.doubt
                variance = 1 - torch.linalg.solve_triangular(root, to.T, upper=False).square().sum(0)
        return torch.exp(self.scale) * places.doubt * variance.clamp(min=1e-3).sqrt()

    def _noise(self, samples: Samples) -> Tensor:
        """Variance of what samples say  [(M,) float32]."""
        return torch.exp(2 * self.noise) / samples.trust.square() + torch.exp(2 * self.ragged) * (1 - samples.cover)

    def _alike(self, one: Places, other: Places) -> Tensor:
        """Correlation of chroma between places where the scene is meant, and where a thing is  [(2, P, Q) float32]."""
        a, b = self._features(one), self._features(other)
        # Per head, minus half the squared distance in one product.
        a = torch.cat([a, -0.5 * a.square().sum(2, keepdim=True), torch.ones_like(a[..., :1])], 2)
        b = torch.cat([b, torch.ones_like(b[..., :1]), -0.5 * b.square().sum(2, keepdim=True)], 2)
        near = torch.exp(a @ b.transpose(1, 2))
        share = torch.softmax(self.share, 1)
        return cast(Tensor, torch.tensordot(share[:, :-1], near, 1) + share[:, -1, None, None])

    def _features(self, places: Places) -> Tensor:
        """What places are compared by: affinity, and where they lie  [(HEADS, P, LENGTH + 2) float32]."""
        at = places.at * torch.exp(-self.reach)[:, None, None]
        return torch.cat([places.affinity.reshape(-1, HEADS, LENGTH).transpose(0, 1), at], 2)


def picture(
    affinity: Tensor, doubt: Tensor, ab: Tensor, asked: Tensor, weight: Tensor
) -> tuple[Places, Samples | None]:
    """All places of one picture, and what hints say of it.

    Args:
        affinity: features by which places are compared  [(HEADS * LENGTH, h, w) float32]
        doubt: by how much chroma may be another there   [(1, h, w) float32, above 0]
        ab: the automatic chroma                         [(2, h, w) float32]
        asked: chroma asked for                          [(2, h, w) float32]
        weight: trust in it, 0 = no hint                 [(1, h, w) float32 [0, 1]]

    Returns:
        Places row by row, and samples, or None where there is no hint
    """
    places = places_of(affinity, doubt, ab)
    said = bool((weight > LEAST_TRUST).any())
    return places, samples_of(places, (ab.shape[1], ab.shape[2]), asked, weight) if said else None

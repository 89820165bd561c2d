"""A region looked for in other shots of an open project: found, confirmed as an ordinary hint, or rejected for good."""

from __future__ import annotations

import threading
import time
from argparse import Namespace

import cv2
import makers
import numpy as np
import pytest

from app import main
from core.contract.progress import silent
from core.errors import HintError, InputError
from studio.commands.hints import propose
from studio.session import Session


class Seeing(makers.Tint):
    """Sees tone alone."""

    fingerprint = "seeing-1"

    def features(self, luma):
        return np.dstack([cv2.GaussianBlur(luma, (0, 0), s) / 20 for s in (1.0, 3.0)]).astype(np.float32)


def bright(n):
    """The bright rectangle that `makers.grey_picture` draws on frame ``n`` of a shot  [(H, W) bool]."""
    mask = np.zeros((makers.H, makers.W), bool)
    mask[12:37, 8 + n : 25 + n] = True
    return mask


def write(folder):
    """Two shots over different grounds, the same rectangle in both."""
    folder.mkdir()
    for n in range(12):
        picture = makers.grey_picture(n % 6, n // 6) // 3
        picture[bright(n % 6)] = 200
        cv2.imwrite(str(folder / f"frame_{n:04d}.png"), picture)
    return folder


@pytest.fixture
def session(tmp_path, monkeypatch):
    monkeypatch.setenv("POCHOIR_CACHE", str(tmp_path / "user-cache"))
    film = write(tmp_path / "film")
    made = Session.create(
        tmp_path / "reel.pochoir", film, rate="16", recipe=makers.RECIPE, plugins=makers.plugins(Seeing)
    )
    if len(made.project.shots) == 1:
        made.set_cut(6, True)
    made.put_region({"id": "coat", "name": "Coat", "colour": "#a04030"})
    yield made
    made.close()


def marked(session):
    session.add_hint({"frame": 2, "kind": "region", "region": "coat"}, mask=bright(2))


def looked(session):
    session.start_proposing("coat")
    ends = time.monotonic() + 60
    while (told := session.proposals())["state"] == "running":
        assert time.monotonic() < ends
        time.sleep(0.02)
    assert (told["state"], told["fault"], told["done"]) == ("done", "", told["total"])
    return told["rows"]


def test_what_is_found_becomes_an_ordinary_hint_that_undo_takes_back(session):
    marked(session)
    (row,) = looked(session)
    assert (row["shot"], row["region"]) == (1, "coat")
    assert 6 <= row["frame"] < 12
    mask, true = session.proposal_mask(row["id"]), bright(row["frame"] - 6)
    assert (mask & true).sum() / (mask | true).sum() > 0.7
    version = session.version
    hint = session.confirm_proposal(row["id"])
    assert session.version == version + 1
    assert (hint.kind, hint.frame, hint.region) == ("region", row["frame"], "coat")
    assert np.array_equal(session.hint_mask(hint.id), mask)
    assert session.proposals()["rows"] == []
    assert looked(session) == []  # the shot has one now
    session.undo()
    assert [h.frame for h in session.project.hints] == [2]
    with pytest.raises(InputError, match="answered already"):
        session.confirm_proposal(row["id"])


def test_two_who_say_yes_at_once_make_one_hint(session, monkeypatch):
    marked(session)
    (row,) = looked(session)
    begun, go, refused = threading.Event(), threading.Event(), []

    def slowly(*args, real=session.add_hint, **more):
        begun.set()
        assert go.wait(60)
        return real(*args, **more)

    def yes():
        try:
            session.confirm_proposal(row["id"])
        except InputError as error:
            refused.append(str(error))

    monkeypatch.setattr(session, "add_hint", slowly)
    hands = [threading.Thread(target=yes) for _ in range(2)]
    for hand in hands:
        hand.start()
        assert begun.wait(60)
    go.set()
    for hand in hands:
        hand.join(60)
    assert [h.frame for h in session.project.hints] == [2, row["frame"]]
    (told,) = refused
    assert "answered already" in told


def test_one_change_of_colour_reaches_every_shot_of_the_region(session):
    marked(session)
    (row,) = looked(session)
    session.confirm_proposal(row["id"])
    session.render()
    assert [shot["stale"] for shot in session.need_render()] == [0, 0]
    session.put_region({"id": "coat", "name": "Coat", "colour": "#3050a0"})
    assert all(shot["stale"] > 0 for shot in session.need_render())


def test_a_no_is_remembered(session):
    marked(session)
    (row,) = looked(session)
    session.reject_proposal(row["id"])
    assert session.proposals()["rows"] == []
    assert all(again["frame"] != row["frame"] for again in looked(session))


def test_what_cannot_be_looked_for_is_refused_in_words(session):
    with pytest.raises(HintError, match="hat"):
        session.start_proposing("hat")
    with pytest.raises(InputError, match="mark it"):
        session.start_proposing("coat")
    with pytest.raises(InputError, match="p9"):
        session.proposal_mask("p9")


def test_the_command_line_lists_what_is_found(session, capsys):
    marked(session)
    args = Namespace(dir=str(session.dir), region="coat", device=None)
    answer = propose(args, makers.plugins(Seeing), silent)
    (row,) = answer.data["proposals"]
    assert (answer.data["region"], row["shot"], set(row)) == ("coat", 1, {"shot", "frame", "score", "share"})
    assert f"frame {row['frame']}" in answer.lines[0]
    assert len(session.project.hints) == 1
    assert main(["hints", "propose", args.dir, "hat"]) == 2
    assert "hat" in capsys.readouterr().err

"""The routes over a stand-in session: one round trip from a click to a picture, faults in one line."""

import base64
import json
import time

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient

from core.contract.plugins import Plugins
from core.film.colour import hex_to_lab, srgb_to_lab
from studio.ui.server import build_app
from tests.studio.ui.fake import COUNT, FakeSession, H, W, picture

HOST = "127.0.0.1:7880"


def pixels(answer):
    data = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    return cv2.cvtColor(data, cv2.COLOR_BGR2RGB).astype(np.float32) / 255


@pytest.fixture(scope="module")
def app():
    return build_app(plugins=Plugins(), sessions=FakeSession)


@pytest.fixture
def client(app, tmp_path):
    app.state.desk.put(FakeSession(tmp_path / "a.pochoir"))
    client = TestClient(app, base_url=f"http://{HOST}")
    client.headers["X-Pochoir"] = "1"
    return client


def add_point(client, colour="#b03020", show=0):
    hint = {"frame": 0, "kind": "point", "xy": [100.5, 120.5], "radius": 3, "colour": colour}
    return client.post("/v1/hints", json={"hint": hint, "show": show})


def test_a_hint_is_answered_with_the_recoloured_frame(client):
    answer = add_point(client)
    assert answer.headers["content-type"] == "image/jpeg"
    note = json.loads(answer.headers["x-pochoir"])
    assert note["id"] == "h1"
    seen = srgb_to_lab(pixels(answer))[120, 100]
    assert np.abs(seen[1:] - hex_to_lab("#b03020")[1:]).max() < 6
    assert len(client.get("/v1/state").json()["project"]["hints"]) == 1


def test_undo_is_answered_with_the_frame_as_it_was(client):
    before = client.get("/v1/pictures/coloured/0.jpg").content
    add_point(client)
    answer = client.post("/v1/undo", json={"show": 0})
    assert answer.content == before
    state = client.get("/v1/state").json()["project"]
    assert (state["hints"], state["can_redo"], state["redo_label"]) == ([], True, "add point")


def test_pictures_may_be_kept_under_their_key_only(client):
    def keys():
        return [shot["key"] for shot in client.get("/v1/state").json()["project"]["shots"]]

    key, *others = keys()
    address = f"/v1/pictures/coloured/3.jpg?v={key}"
    assert "immutable" in client.get(address).headers["cache-control"]
    add_point(client)
    assert client.get(address).headers["cache-control"] == "no-store"
    assert keys()[0] != key
    assert keys()[1:] == others
    client.post("/v1/undo", json={})
    assert keys()[0] == key
    source = client.get("/v1/state").json()["project"]["keys"]["source"]
    assert "immutable" in client.get(f"/v1/pictures/source/3.jpg?v={source}").headers["cache-control"]


def test_frames_are_exact(client):
    for n in (0, 11, 12, COUNT - 1):
        seen = pixels(client.get(f"/v1/exact/source/{n}.png"))
        assert np.abs(seen - picture(n)).max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("n", [-1, COUNT, 10**9])
def test_frames_outside_the_film_are_refused(client, n):
    answer = client.get(f"/v1/pictures/source/{n}.jpg")
    assert answer.status_code == 400
    assert f"frame {n}" in answer.json()["error"]


def test_colours_are_suggested_for_a_place(client):
    told = client.get("/v1/suggest/0?x=100&y=120").json()
    assert [row["colour"] for row in told["colours"]] == ["#4b5a3c", "#7a5a40"]
    assert client.get("/v1/suggest/99999?x=1&y=1").status_code == 400
    assert client.get("/v1/suggest/0?x=here&y=1").status_code in (400, 422)


def test_need_is_told_from_where_one_left_off_and_shown_once_it_is_known(client):
    first = client.get("/v1/need?near=0").json()
    assert (len(first["rows"]), first["serial"], first["due"]) == (3, 3, COUNT - 3)
    assert client.get(f"/v1/need?near=0&since={first['serial'] - 1}").json()["rows"] == first["rows"][-1:]
    answer = client.get("/v1/need/1.png")
    assert (cv2.imdecode(np.frombuffer(answer.content, np.uint8), 0) == 128).all()
    assert client.get("/v1/need/3.png").status_code == 204
    assert client.get(f"/v1/need/{COUNT}.png").status_code == 400
    assert client.get(f"/v1/need?near={COUNT}").status_code == 400


def test_pictures_are_asked_for_anew_once_hints_were_carried(client):
    before = client.get("/v1/state").json()["project"]["shots"][0]["key"]
    client.app.state.desk.session.carries += 1
    assert client.get("/v1/events").json()["carries"] == 1
    told = client.get("/v1/state").json()["project"]
    assert (told["carries"], told["shots"][0]["key"] != before) == (1, True)


def test_a_proposal_is_looked_at_and_confirmed_with_the_picture(client):
    client.post("/v1/regions", json={"region": {"id": "coat", "name": "Coat", "colour": "#b03020"}})
    assert client.post("/v1/proposals", json={"region": "hat"}).status_code == 400
    assert client.post("/v1/proposals", json={"region": "coat"}).status_code == 202
    (row,) = client.get("/v1/proposals").json()["rows"]
    mask = client.get(f"/v1/proposals/{row['id']}/mask.png")
    assert (cv2.imdecode(np.frombuffer(mask.content, np.uint8), 0) == 255).all()
    answer = client.post(f"/v1/proposals/{row['id']}/confirm", json={"show": row["frame"]})
    assert answer.headers["content-type"] == "image/jpeg"
    (hint,) = client.get("/v1/state").json()["project"]["hints"]
    assert (hint["region"], hint["frame"]) == ("coat", row["frame"])
    assert client.post(f"/v1/proposals/{row['id']}/confirm", json={}).status_code == 400
    client.post("/v1/proposals", json={"region": "coat"})
    assert client.post(f"/v1/proposals/{row['id']}/reject", json={}).json()["rows"] == []


def test_a_region_is_clicked_and_accepted(client):
    answer = client.post("/v1/segment", json={"frame": 0, "points": [[100, 120, 1]]})
    mask = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert mask.shape == (H, W)
    assert mask[120, 100] == 255
    assert json.loads(answer.headers["x-pochoir"])["share"] == pytest.approx((mask > 0).mean(), abs=1e-4)
    text = base64.b64encode(answer.content).decode()
    hint = {"frame": 0, "kind": "region", "colour": "#2040a0"}
    assert client.post("/v1/hints", json={"hint": hint, "mask_png": text}).status_code == 200
    back = client.get("/v1/hints/h1/mask.png")
    assert np.array_equal(cv2.imdecode(np.frombuffer(back.content, np.uint8), 0), mask)


def test_strokes_and_loops_reach_the_session(client):
    drawn = {"frame": 0, "points": [], "lasso": [[5, 5], [90, 5], [90, 90]]}
    stroke = {"path": [[20, 30], [25, 30]], "width": 4, "inside": 1}
    answer = client.post("/v1/segment", json={**drawn, "strokes": [stroke]})
    assert answer.status_code == 200
    mask = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert mask[30, 20] == 255
    refused = client.post("/v1/segment", json={**drawn, "strokes": [{**stroke, "width": 0}]})
    assert refused.status_code == 400
    assert "width" in refused.text


def test_a_frame_is_looked_at_before_it_is_clicked(client, app):
    assert client.post("/v1/segment/look/3", json={}).status_code == 202
    assert app.state.desk.session.looked_at == 3
    assert client.post("/v1/segment/look/9999", json={}).status_code == 400


def test_a_masked_hint_has_a_handle_inside_its_mask(client):
    mask = np.zeros((H, W), np.uint8)
    mask[100:140, 200:260] = 255
    text = base64.b64encode(cv2.imencode(".png", mask)[1].tobytes()).decode()
    hint = {"frame": 0, "kind": "neutral", "mask": "m.png"}
    client.post("/v1/hints", json={"hint": hint, "mask_png": text})
    (told,) = client.get("/v1/state").json()["project"]["hints"]
    x, y = told["at"]
    assert mask[int(y), int(x)] == 255


@pytest.mark.parametrize(
    ("method", "path", "body", "word"),
    [
        ("POST", "/v1/hints", {"hint": {"frame": 0, "kind": "spot"}}, "spot"),
        ("POST", "/v1/hints", {"hint": {"frame": 0, "kind": "region"}}, "mask"),
        ("POST", "/v1/hints/h9/delete", {}, "h9"),
        ("PATCH", "/v1/hints/h9", {"changes": {"colour": "#000000"}}, "h9"),
        ("PUT", "/v1/recipe", {"recipe": "nonsense"}, "nonsense"),
        ("PUT", "/v1/recipe", {"recipe": {"steps": [{"stage": "nonsense"}]}}, "nonsense"),
        ("POST", "/v1/hints/import", {"path": ""}, "path"),
        ("POST", "/v1/segment", {"frame": 0, "points": [[-4, 0, 1]]}, "outside"),
    ],
)
def test_faults_are_one_line_with_status_400(client, method, path, body, word):
    answer = client.request(method, path, json=body)
    assert answer.status_code == 400
    assert word in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


def test_malformed_requests_have_the_same_shape_of_error(client):
    for answer in (
        client.post("/v1/hints", json={"nonsense": 1}),
        client.post("/v1/cuts", json={"frame": "x", "on": True}),
        client.get("/v1/hints/h1/mask.png"),
    ):
        assert 400 <= answer.status_code < 500
        assert set(answer.json()) == {"error"}


def test_a_render_is_followed_and_stopped(client):
    client.app.state.desk.session.frame_seconds = 0.03
    job = client.post("/v1/jobs", json={"purpose": "shot"}).json()["id"]
    until(lambda: client.get("/v1/events").json()["jobs"][0]["done"] > 2)
    client.post(f"/v1/jobs/{job}/cancel", json={})
    until(lambda: client.get("/v1/events").json()["jobs"][0]["state"] == "cancelled")


def test_a_rendered_shot_is_told_and_its_pictures_are_asked_for_anew(client):
    before = client.get("/v1/state").json()["project"]
    assert [s["state"] for s in before["shots"]] == ["new"] * 3
    client.post("/v1/jobs", json={"shot": 1, "purpose": "shot"})
    until(lambda: client.get("/v1/events").json()["jobs"][0]["state"] == "done")
    after = client.get("/v1/state").json()["project"]
    assert [s["state"] for s in after["shots"]] == ["new", "rendered", "new"]
    assert after["shots"][1]["key"] != before["shots"][1]["key"]
    assert after["keys"] == before["keys"]


def test_deliveries_go_into_the_project_unless_told_otherwise(client, tmp_path):
    inside = client.post("/v1/jobs", json={"purpose": "deliver", "out": "deliver/film.mov"}).json()
    assert inside["out"] == str(tmp_path / "a.pochoir" / "deliver" / "film.mov")
    outside = client.post("/v1/jobs", json={"purpose": "deliver", "out": str(tmp_path / "x.mkv")}).json()
    assert outside["out"] == str(tmp_path / "x.mkv")
    until(lambda: all(j["state"] == "done" for j in client.get("/v1/jobs").json()))


class TestPicker:
    @pytest.fixture
    def client(self, tmp_path):
        app = build_app(plugins=Plugins(), sessions=FakeSession, recent_file=tmp_path / "state" / "recent.json")
        client = TestClient(app, base_url=f"http://{HOST}")
        client.headers["X-Pochoir"] = "1"
        return client

    def opened(self, client):
        until(lambda: client.get("/v1/events").json()["opening"] is None)
        return client.get("/v1/state").json()

    def test_makes_opens_and_remembers(self, client, tmp_path):
        (tmp_path / "film.mp4").write_bytes(b"film")
        assert client.get("/v1/state").json()["project"] is None
        assert client.post("/v1/project/create", json={"source": str(tmp_path / "film.mp4")}).status_code == 202
        state = self.opened(client)
        assert state["project"]["name"] == "film"
        assert [row["name"] for row in state["recent"]] == ["film"]
        client.post("/v1/project/close", json={})
        assert client.get("/v1/state").json()["project"] is None
        client.post("/v1/project/open", json={"path": str(tmp_path / "film.pochoir")})
        assert self.opened(client)["project"]["name"] == "film"

    def test_remembers_a_project_before_anyone_sees_it(self, client, tmp_path):
        known = []

        class Watching(FakeSession):
            def close(self):
                known.extend(row["name"] for row in client.get("/v1/state").json()["recent"])

        desk = client.app.state.desk
        desk.put(Watching.create(tmp_path / "first.pochoir", None))
        desk.put(FakeSession.create(tmp_path / "second.pochoir", None))
        assert known == ["second", "first"]

    def test_says_what_is_wrong_and_leaves_what_is_open(self, client, tmp_path):
        (tmp_path / "film.mp4").write_bytes(b"film")
        client.post("/v1/project/create", json={"source": str(tmp_path / "film.mp4")})
        self.opened(client)
        answer = client.post("/v1/project/create", json={"source": str(tmp_path / "none.mp4")})
        assert (answer.status_code, "none.mp4" in answer.json()["error"]) == (400, True)
        answer = client.post("/v1/project/open", json={"path": str(tmp_path / "none.pochoir")})
        assert (answer.status_code, "none.pochoir" in answer.json()["error"]) == (400, True)
        client.post("/v1/project/create", json={"source": str(tmp_path / "film.mp4")})
        state = self.opened(client)
        assert "film.pochoir" in state["error"]
        assert state["project"]["name"] == "film"

    def test_without_a_project_every_picture_is_refused_in_words(self, client):
        assert client.get("/v1/pictures/source/0.jpg").json() == {"error": "no project is open"}


def test_paths_complete_only_where_allowed(tmp_path):
    (tmp_path / "reel one.mp4").touch()
    (tmp_path / "reels").mkdir()
    (tmp_path / ".hidden").touch()
    for browse, found in ((True, [f"{tmp_path}/reel one.mp4", f"{tmp_path}/reels/"]), (False, [])):
        app = build_app(plugins=Plugins(), sessions=FakeSession, browse=browse)
        client = TestClient(app, base_url=f"http://{HOST}")
        assert client.get("/v1/paths", params={"prefix": f"{tmp_path}/re"}).json() == found


def until(happened, seconds=10.0):
    ends = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < ends, "it never happened"
        time.sleep(0.01)

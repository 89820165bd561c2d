"""The web guard: foreign names, foreign pages and strangers are turned away on every route."""

import socket

import pytest
from fastapi.testclient import TestClient

from core.contract.plugins import Plugins
from core.errors import InputError
from studio.ui.accounts import Accounts, hashed
from studio.ui.guard import allowed_hosts, check_binding
from studio.ui.server import build_app, serve
from tests.studio.ui.fake import FakeSession

HOST = "127.0.0.1:7880"
OURS = {"X-Pochoir": "1", "Content-Type": "application/json"}


def client_for(folder, **options):
    app = build_app(FakeSession(folder), plugins=Plugins(), sessions=FakeSession, **options)
    return TestClient(app, base_url=f"http://{HOST}", follow_redirects=False)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    return client_for(tmp_path_factory.mktemp("guard"))


ROUTES = [
    ("GET", "/"),
    ("GET", "/config"),
    ("GET", "/v1/state"),
    ("GET", "/v1/pictures/source/0.jpg"),
    ("GET", "/v1/static/studio.css"),
    ("POST", "/v1/undo"),
    ("POST", "/gradio_api/upload"),
    ("POST", "/gradio_api/queue/join"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_another_name_is_not_answered(client, method, path):
    for name in ("evil.example:7880", "evil.example", "127.0.0.1", "127.0.0.1:7881", "localhost.evil.example:7880"):
        answer = client.request(method, path, headers={**OURS, "Host": name}, content="{}")
        assert answer.status_code == 421, name


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_another_page_is_refused(client, method, path):
    for origin in ("http://evil.example", "null", "http://127.0.0.1:8000", "http://localhost.evil.example:7880"):
        answer = client.request(method, path, headers={**OURS, "Origin": origin}, content="{}")
        assert answer.status_code == 403, origin
    for site in ("cross-site", "same-site"):
        answer = client.request(method, path, headers={**OURS, "Sec-Fetch-Site": site}, content="{}")
        assert answer.status_code == 403


def test_a_link_from_another_page_may_lead_here_but_not_act(client):
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.get("/", headers=link).status_code == 200
    assert client.post("/v1/undo", headers={**OURS, **link}, content="{}").status_code == 403


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_answer_forbids_framing_and_guessing(client, method, path):
    answer = client.request(method, path, headers=OURS, content="{}")
    assert answer.headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in answer.headers


def test_our_own_page_may(client):
    answer = client.post("/v1/undo", headers={**OURS, "Origin": f"http://{HOST}"}, content="{}")
    assert answer.status_code == 200


def test_a_change_needs_our_header_and_json(client):
    assert client.post("/v1/undo", headers={"Content-Type": "application/json"}, content="{}").status_code == 403
    plain = {"X-Pochoir": "1", "Content-Type": "text/plain"}
    assert client.post("/v1/undo", headers=plain, content="{}").status_code == 415


def test_gradio_serves_no_files_of_this_machine(client):
    for path in ("/gradio_api/file=/etc/passwd", "/gradio_api/file=../../etc/passwd", "/v1/static/../server.py"):
        assert client.get(path).status_code in (403, 404), path


def test_the_network_needs_a_login():
    with pytest.raises(InputError, match="--auth"):
        check_binding("0.0.0.0", None)
    check_binding("127.0.0.1", None)
    check_binding("0.0.0.0", Accounts({"anna": "x"}))


def test_names_by_which_the_server_is_called():
    assert "localhost:7880" in allowed_hosts("127.0.0.1", 7880)
    assert allowed_hosts("0.0.0.0", 7880) is None
    assert "studio.example:80" in allowed_hosts("studio.example", 80)


class TestLogin:
    @pytest.fixture(scope="class")
    def guarded(self, tmp_path_factory):
        accounts = Accounts({"anna": "correct horse", "ben": hashed("staple")})
        return client_for(tmp_path_factory.mktemp("login"), accounts=accounts)

    @pytest.fixture
    def client(self, guarded):
        guarded.cookies.clear()
        return guarded

    def test_strangers_see_nothing(self, client):
        for method, path in ROUTES:
            answer = client.request(method, path, headers=OURS, content="{}")
            assert answer.status_code == 401, path
        page = client.get("/", headers={"Accept": "text/html"})
        assert (page.status_code, page.headers["location"]) == (303, "/login")

    def test_signing_in_and_out(self, client):
        answer = client.post("/login", data={"name": "ben", "password": "staple"})
        assert answer.status_code == 303
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert client.get("/v1/state").status_code == 200
        assert client.post("/logout", headers=OURS, content="{}").status_code == 200
        assert client.get("/v1/state").status_code == 401

    def test_guessing_is_slowed_down(self, client):
        wrong = [client.post("/login", data={"name": "anna", "password": f"guess {i}"}) for i in range(7)]
        assert [a.status_code for a in wrong] == [401] * 5 + [429] * 2
        right = client.post("/login", data={"name": "anna", "password": "correct horse"})
        assert right.status_code == 429


class TestAuthFile:
    def test_reads_clear_and_hashed(self, tmp_path):
        file = tmp_path / "auth"
        file.write_text(f"# people\nanna:a:b\nben:{hashed('x')}\n")
        accounts = Accounts.read(file)
        assert accounts.check("anna", "a:b")
        assert accounts.check("ben", "x")
        assert not accounts.check("ben", hashed("x"))
        assert not accounts.check("carl", "")

    @pytest.mark.parametrize("text", ["", "# nobody\n", "anna\n", ":x\n", "anna:\n", "anna:scrypt$zz\n"])
    def test_refuses_what_it_cannot_read(self, tmp_path, text):
        file = tmp_path / "auth"
        file.write_text(text)
        with pytest.raises(InputError, match="auth file"):
            Accounts.read(file)


def test_a_taken_port_is_said_in_one_line():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port}.*--port"):
            serve(None, port=port, plugins=Plugins())

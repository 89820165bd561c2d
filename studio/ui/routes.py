"""The studio's own routes, `/v1/…`: pictures down, edits up, one round trip each.

A mutation may carry ``show: n``: its answer is then frame ``n`` as it looks afterwards, as JPEG (no longer than
``side``), with what else there is to say as JSON in the header ``X-Pochoir``. Gradio's routes come after these and know
nothing of them. State lives in the `Session`; nothing is kept here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from core.errors import InputError
from hints.gestures import Stroke
from studio.ui import convert
from studio.ui.controls import stage_cards
from studio.ui.desk import Desk, completions
from studio.ui.view import RECIPES, in_project, plain, recipe_from_json

FOREVER = "private, max-age=31536000, immutable"


class Body(BaseModel):
    """A JSON body; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class NewProject(Body):
    """What the project picker sends to make a project."""

    source: str
    folder: str = ""
    rate: str = ""
    recipe: str = "auto"


class Folder(Body):
    """A path on the server's machine."""

    path: str


class Brush(Body):
    """One stroke of the brush: ``[x, y]`` along it, and whether it adds (1) or takes away (0)."""

    path: list[list[float]] = Field(max_length=4000)
    width: float
    inside: bool


class Clicks(Body):
    """Clicks on one frame, ``[x, y, 1 (in) or 0 (out)]``, and perhaps a box, a loop, strokes of the brush."""

    frame: int
    points: list[list[float]] = Field(max_length=200)
    box: list[float] | None = None
    lasso: list[list[float]] | None = Field(default=None, max_length=4000)
    strokes: list[Brush] = Field(default=[], max_length=200)


# Longest side in pixels that the screen has for the picture; none: the film's own size.
Side = Annotated[int | None, Field(ge=16, le=16384)]


class NewHint(Body):
    """A hint as in hints.json; its mask or still comes as base64 in place of a path."""

    hint: dict[str, Any]
    mask_png: str | None = None
    image: str | None = None
    show: int | None = None
    side: Side = None


class HintChanges(Body):
    """Fields of a hint to change."""

    changes: dict[str, Any]
    show: int | None = None
    side: Side = None


class RegionBody(Body):
    """A region as in hints.json."""

    region: dict[str, Any]
    show: int | None = None
    side: Side = None


class Wanted(Body):
    """The region to look for in other shots."""

    region: str


class Show(Body):
    """The frame to answer with."""

    show: int | None = None
    side: Side = None


class Cut(Body):
    """A cut set or taken away by hand."""

    frame: int
    on: bool


class RecipeBody(Body):
    """A recipe's name, or its steps."""

    recipe: str | dict[str, Any]


class Render(Body):
    """What to render."""

    shot: int | None = None
    purpose: Literal["shot", "deliver"] = "shot"
    out: str | None = None


def json_only(request: Request) -> None:
    """Refuse what a foreign page's form could send: a change needs JSON and our own header."""
    if request.method in ("GET", "HEAD"):
        return
    if request.headers.get("x-pochoir") != "1":
        raise HTTPException(403, "the header X-Pochoir: 1 is missing")
    kind = request.headers.get("content-type", "").split(";")[0].strip()
    if kind != "application/json":
        raise HTTPException(415, "expected application/json")


def make_router(desk: Desk, *, browse: bool) -> APIRouter:
    """All routes over one desk.

    Args:
        desk: holds the open session.
        browse: whether path fields may be completed from this machine's folders.
    """
    router = APIRouter(prefix="/v1", dependencies=[Depends(json_only)])
    _project_routes(router, desk, browse)
    _picture_routes(router, desk)
    _edit_routes(router, desk)
    _work_routes(router, desk)
    return router


def _project_routes(router: APIRouter, desk: Desk, browse: bool) -> None:
    @router.get("/state")
    def state() -> dict[str, Any]:
        return {
            **desk.status(),
            "project": desk.view.project() if desk.is_open else None,
            "jobs": desk.view.jobs() if desk.is_open else [],
            "recent": desk.recent(),
            "browse": browse,
        }

    @router.get("/events")
    def events() -> dict[str, Any]:
        if not desk.is_open:
            return {**desk.status(), "version": None, "carries": 0, "jobs": []}
        return {**desk.status(), "version": desk.view.version, "carries": desk.view.carries, "jobs": desk.view.jobs()}

    @router.get("/stages")
    def stages() -> dict[str, Any]:
        return {"stages": stage_cards(desk.plugins), "recipes": list(RECIPES)}

    @router.get("/paths")
    def paths(prefix: str = "") -> list[str]:
        return completions(prefix) if browse else []

    @router.post("/project/create", status_code=202)
    def create(body: NewProject) -> dict[str, Any]:
        desk.create(body.source.strip(), body.folder.strip(), body.rate.strip(), body.recipe)
        return desk.status()

    @router.post("/project/open", status_code=202)
    def open_project(body: Folder) -> dict[str, Any]:
        desk.open(body.path.strip())
        return desk.status()

    @router.post("/project/close")
    def close(body: Body) -> dict[str, Any]:
        desk.close()
        return desk.status()


def _picture_routes(router: APIRouter, desk: Desk) -> None:
    def picture(kind: str, n: int) -> Any:
        session = desk.session
        _check_frame(desk, n)
        if kind == "source":
            return session.source_picture(n)
        if kind == "restored":
            return session.restored_picture(n)
        # A shot that is rendered is in the cache, as it will be delivered; of others a quick look is given.
        return session.coloured_picture(n) if desk.view.is_rendered(n) else session.preview(n)

    @router.get("/pictures/{kind}/{n}.jpg")
    def jpeg(kind: Literal["source", "restored", "coloured"], n: int, v: str = "", h: int = 0) -> Response:
        data = convert.jpeg(picture(kind, n), height=h or None)
        current = v != "" and v == desk.view.key(kind, n)
        return Response(data, media_type="image/jpeg", headers={"Cache-Control": FOREVER if current else "no-store"})

    @router.get("/exact/{kind}/{n}.png")
    def exact(kind: Literal["source", "restored", "coloured"], n: int) -> Response:
        _check_frame(desk, n)
        data = convert.png(desk.session.coloured_picture(n) if kind == "coloured" else picture(kind, n))
        return Response(data, media_type="image/png", headers={"Cache-Control": "no-store"})

    @router.get("/matte/{n}.png")
    def matte(n: int) -> Response:
        _check_frame(desk, n)
        data = convert.mask_png(desk.session.matte(n))
        return Response(data, media_type="image/png", headers={"Cache-Control": "no-store"})

    @router.get("/need")
    def need(near: int, since: int = 0) -> dict[str, Any]:
        _check_frame(desk, near)
        told: dict[str, Any] = desk.session.need(near, max(0, since))
        return told

    @router.get("/need/{n}.png")
    def need_map(n: int) -> Response:
        _check_frame(desk, n)
        found = desk.session.need_map(n)
        if found is None:  # it is being worked out
            return Response(status_code=204, headers={"Cache-Control": "no-store"})
        return Response(convert.mask_png(found), media_type="image/png", headers={"Cache-Control": "no-store"})

    @router.get("/hints/{hint_id}/mask.png")
    def hint_mask(hint_id: str) -> Response:
        found = desk.session.hint_mask(hint_id)
        if found is None:
            raise HTTPException(404, "that hint has no mask")
        data = convert.mask_png(found)
        return Response(data, media_type="image/png", headers={"Cache-Control": "no-store"})

    @router.get("/suggest/{n}")
    def suggest(n: int, x: float, y: float) -> dict[str, Any]:
        _check_frame(desk, n)
        return {"colours": desk.session.suggest(n, x, y)}

    @router.post("/segment")
    def segment(body: Clicks) -> Response:
        session = desk.session
        _check_frame(desk, body.frame)
        began = time.perf_counter()
        points = convert.points_from_json(body.points, desk.view.size)
        box = tuple(body.box) if body.box else None
        lasso = tuple((x, y) for x, y in body.lasso) if body.lasso is not None else None
        strokes = [Stroke(tuple((x, y) for x, y in s.path), s.width, s.inside) for s in body.strokes]
        mask = session.segment(body.frame, points, box, lasso, strokes)
        note = {"ms": _ms(began), "share": round(float(mask.mean()), 5)}
        return _noted(convert.mask_png(mask), "image/png", note)

    @router.post("/segment/look/{n}", status_code=202)
    def look(n: int) -> dict[str, Any]:
        _check_frame(desk, n)
        desk.session.prepare_segment(n)
        return {}

    @router.post("/preview")
    def preview(body: NewHint) -> Response:
        session = desk.session
        frame = int(body.hint.get("frame", 0))
        _check_frame(desk, frame)
        began = time.perf_counter()
        extra = dict(body.hint)
        if body.mask_png:
            extra["mask"] = convert.mask_from_base64(body.mask_png, desk.view.size)
        data = convert.jpeg(session.preview(frame, extra, body.side))
        return _noted(data, "image/jpeg", {"ms": _ms(began), "frame": frame})


def _edit_routes(router: APIRouter, desk: Desk) -> None:
    def edited(act: Callable[[Any], Any], show: int | None, side: int | None = None) -> Response:
        session = desk.session
        if show is not None:
            _check_frame(desk, show)
        began = time.perf_counter()
        result = act(session)
        note = {"id": getattr(result, "id", None), "version": desk.view.version}
        if show is None:
            return Response(json.dumps({**note, "ms": _ms(began)}), media_type="application/json")
        data = convert.jpeg(session.preview(show, side=side))
        return _noted(data, "image/jpeg", {**note, "frame": show, "ms": _ms(began)})

    @router.post("/hints")
    def add_hint(body: NewHint) -> Response:
        mask = convert.mask_from_base64(body.mask_png, desk.view.size) if body.mask_png else None
        image = convert.image_from_base64(body.image) if body.image else None
        return edited(lambda s: s.add_hint(dict(body.hint), mask=mask, image=image), body.show, body.side)

    @router.patch("/hints/{hint_id}")
    def update_hint(hint_id: str, body: HintChanges) -> Response:
        return edited(lambda s: s.update_hint(hint_id, **body.changes), body.show, body.side)

    @router.post("/hints/{hint_id}/delete")
    def delete_hint(hint_id: str, body: Show) -> Response:
        return edited(lambda s: s.delete_hint(hint_id), body.show, body.side)

    @router.post("/regions")
    def put_region(body: RegionBody) -> Response:
        return edited(lambda s: s.put_region(body.region), body.show, body.side)

    @router.post("/proposals", status_code=202)
    def look_for(body: Wanted) -> Any:
        desk.session.start_proposing(body.region)
        return desk.session.proposals()

    @router.get("/proposals")
    def proposals() -> Any:
        return desk.session.proposals()

    @router.get("/proposals/{proposal_id}/mask.png")
    def proposal_mask(proposal_id: str) -> Response:
        data = convert.mask_png(desk.session.proposal_mask(proposal_id))
        return Response(data, media_type="image/png", headers={"Cache-Control": "no-store"})

    @router.post("/proposals/{proposal_id}/confirm")
    def confirm(proposal_id: str, body: Show) -> Response:
        return edited(lambda s: s.confirm_proposal(proposal_id), body.show, body.side)

    @router.post("/proposals/{proposal_id}/reject")
    def reject(proposal_id: str, body: Body) -> Any:
        desk.session.reject_proposal(proposal_id)
        return desk.session.proposals()

    @router.post("/undo")
    def undo(body: Show) -> Response:
        return edited(lambda s: s.undo(), body.show, body.side)

    @router.post("/redo")
    def redo(body: Show) -> Response:
        return edited(lambda s: s.redo(), body.show, body.side)

    @router.post("/cuts")
    def set_cut(body: Cut) -> Response:
        return edited(lambda s: s.set_cut(body.frame, body.on), None)

    @router.put("/recipe")
    def set_recipe(body: RecipeBody) -> Response:
        recipe = recipe_from_json(body.recipe, desk.plugins)
        return edited(lambda s: s.set_recipe(recipe), None)

    @router.post("/hints/import")
    def import_hints(body: Folder) -> Response:
        return edited(lambda s: s.import_hints(_path(body.path)), None)

    @router.post("/hints/export")
    def export_hints(body: Folder) -> dict[str, Any]:
        path = in_project(desk.session.dir, body.path or "deliver/hints.json")
        desk.session.export_hints(path)
        return {"path": str(path)}


def _work_routes(router: APIRouter, desk: Desk) -> None:
    @router.post("/check")
    def check(body: Body) -> Any:
        return plain(desk.session.check_hints())

    @router.get("/jobs")
    def jobs() -> list[dict[str, Any]]:
        return desk.view.jobs()

    @router.post("/jobs", status_code=202)
    def start(body: Render) -> dict[str, Any]:
        session = desk.session
        out = None
        if body.purpose == "deliver":
            out = in_project(session.dir, body.out or "deliver/film.mp4")
        job = session.start_render(shot=body.shot, purpose=body.purpose, out=out)
        return {"id": job, "out": str(out) if out else None}

    @router.post("/jobs/{job_id}/cancel")
    def cancel(job_id: str, body: Body) -> dict[str, Any]:
        desk.session.cancel(job_id)
        return {"id": job_id}

    @router.post("/jobs/{job_id}/resume")
    def resume(job_id: str, body: Body) -> dict[str, Any]:
        desk.session.resume(job_id)
        return {"id": job_id}


def _check_frame(desk: Desk, n: int) -> None:
    count = desk.view.count
    if not 0 <= n < count:
        raise InputError(f"frame {n}: the film has frames 0 to {count - 1}")


def _path(text: str) -> Path:
    if not text.strip():
        raise InputError("give the path of a hints file")
    return Path(text.strip()).expanduser()


def _ms(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 1)


def _noted(data: bytes, kind: str, note: dict[str, Any]) -> Response:
    headers = {"X-Pochoir": json.dumps(note), "Cache-Control": "no-store"}
    return Response(data, media_type=kind, headers=headers)

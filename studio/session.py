"""An open project: the one home of its state, for the browser and the command line alike.

Every edit is written and committed before the state changes and before anybody is told. Methods may be
called from any thread. Pictures are R'G'B' float32; frame numbers are the source's.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from core.contract.plugins import Plugins
from core.contract.progress import CancelToken, Report, silent
from core.contract.recipe import Recipe
from core.contract.sources import FrameSource
from core.errors import InputError, ProjectError
from core.film.colour import lab_to_hex
from core.film.shot import Shot
from core.film.timebase import parse_range
from core.render.renderer import Renderer
from hints.delta import check
from hints.gestures import Path as Outline
from hints.gestures import Stroke
from hints.hint import Hint
from hints.interchange import dump, load
from hints.region import Region
from hints.track import frame_of
from studio import edits
from studio.counts import ShotCounts
from studio.deliver import Delivered, check_out, deliver
from studio.describe import describe_project
from studio.edits import Edit
from studio.examine import analysed
from studio.jobs import OPEN, Job, Jobs, Purpose
from studio.lock import ProjectLock
from studio.make import make_project
from studio.need import Needs
from studio.preview import Preview
from studio.project import Project
from studio.proposals import Proposals
from studio.proxy import Proxy, proxy_recipe
from studio.recipes import recipe_of, with_options
from studio.rendering import COLOURISE, Machine, Workbench, cache_at, colouring_takes, colours, make_renderer
from studio.said import changed_hint, hint_from, region_from
from studio.segmenting import Segmenters
from studio.source import Reading, open_film, source_facts
from studio.state import State
from studio.store import Store, database_of

log = logging.getLogger(__name__)
T = TypeVar("T")
Picture = NDArray[np.float32]
Listener = Callable[[Mapping[str, Any]], None]


class Session:
    """An open project; made by `create` or `open`, ended by `close`.

    Attributes:
        dir: the project's folder.
        version: number of the last gesture; grows with every edit, undo and redo.
        carries: how often hints have been carried beside renders; frames may look different after it.
        plugins: what is registered.
    """

    def __init__(
        self, folder: Path, store: Store, lock: ProjectLock | None, plugins: Plugins, device: str | None
    ) -> None:
        self.dir = folder
        self.plugins = plugins
        self._store = store
        self._file_lock = lock
        self._state = State(store)
        self._machine = Machine(plugins, cache_at(folder / "cache"), device)
        self._listeners: list[Listener] = []
        self._opening = threading.Lock()
        self._source: FrameSource | None = None
        self._pictures = Workbench(self._film, self._machine)
        self._preview = Preview(self._film, self._machine)
        self._counts = ShotCounts(self._machine)
        self._segmenters = Segmenters(plugins, device)
        self._needs = Needs(self._film, self._machine, lambda: self.project, self._working, self._carried)
        self._proposals = Proposals(self._film, self._machine)
        self.carries = 0
        self._jobs = Jobs(store, self._work, self._job_changed)
        if lock is not None:
            self._jobs.interrupt_orphans()

    # ------------------------------------------------------------------ making, opening, closing

    @classmethod
    def create(
        cls,
        dir: Path | str,
        source: Path | str,
        *,
        rate: str | None = None,
        recipe: str | Recipe = "auto",
        plugins: Plugins,
        report: Report = silent,
        token: CancelToken | None = None,
        device: str | None = None,
    ) -> Session:
        """Make a project of a film and open it: index it, find its shots, choose its recipe.

        Args:
            dir: the folder to make.
            source: video file, folder of images, or ``%06d`` pattern.
            rate: frame rate of an image sequence.
            recipe: a name, a recipe file, ``auto``, or a recipe.
            plugins: what is registered.
            report: told how far it is.
            token: stops it; nothing is left behind then.
            device: where networks run.

        Raises:
            InputError: the film, the recipe or the folder is not usable.
        """
        make_project(Path(dir), source, rate, recipe, plugins, report, token)
        return cls.open(dir, plugins, device=device)

    @classmethod
    def open(cls, dir: Path | str, plugins: Plugins, *, read_only: bool = False, device: str | None = None) -> Session:
        """Open a project folder.

        Args:
            dir: the folder.
            plugins: what is registered.
            read_only: only to look; another program may have it open.
            device: where networks run.

        Raises:
            ProjectError: no project, damaged, newer than this program, or open in another program.
        """
        folder = Path(dir)
        database = database_of(folder)
        lock = None if read_only else ProjectLock(folder)
        try:
            store = Store.open(database, read_only=read_only)
            try:
                return cls(folder, store, lock, plugins, device)
            except BaseException:
                store.close()
                raise
        except BaseException:
            if lock is not None:
                lock.release()
            raise

    def close(self) -> None:
        """Stop what is being rendered and let go of film and folder. Nothing needs to be saved."""
        if self._file_lock is not None:
            self._jobs.close()
        self._needs.close()
        self._proposals.close()
        self._pictures.close()
        self._preview.close()
        with self._opening:
            if self._source is not None:
                self._source.close()
                self._source = None
        self._store.close()
        if self._file_lock is not None:
            self._file_lock.release()
            self._file_lock = None

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _film(self) -> FrameSource:
        """The film, opened (and its content checked) when it is needed first."""
        with self._opening:
            if self._source is None:
                self._source = open_film(self._state.facts["source"], self.project.clip, self.dir)
            return self._source

    # ------------------------------------------------------------------ what there is to know

    @property
    def project(self) -> Project:
        """The state as a value."""
        return self._state.now[0]

    @property
    def version(self) -> int:
        """Number of the last gesture; grows with every edit, undo and redo."""
        return self._state.now[1]

    @property
    def name(self) -> str:
        """The project's name: its folder's, without the ending."""
        return self.dir.resolve().name.removesuffix(".pochoir")

    def describe(self) -> dict[str, Any]:
        """The whole state as plain JSON values; cheap to ask for again while nothing changes."""
        project, version = self._state.now
        undo, redo = self._state.labels()
        return {
            "name": self.name,
            "version": version,
            "source": self._state.facts["source"]["path"],
            **describe_project(project),
            "shots": self._counts.rows(project),
            "analysis": self._state.facts.get("analysis"),
            "can_undo": undo is not None,
            "can_redo": redo is not None,
            "undo_label": undo,
            "redo_label": redo,
        }

    def recommended(self) -> Recipe:
        """The recipe that the analysis of this film recommends: what ``auto`` means here. It may read the film."""
        found, recipe = analysed(self._film(), self._machine.cache, silent, None)
        if "analysis" not in self._state.facts and self._file_lock is not None:
            self._state.set_facts(analysis=found)
        return recipe

    def need_render(self) -> list[dict[str, Any]]:
        """Per shot: its frames of the result, how many are rendered as things stand, how many are stale."""
        return self._counts.rows(self.project)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Have a function told of every edit (``{"version"}``) and job (``{"job"}``), from any thread.

        Returns:
            What ends it.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    # ------------------------------------------------------------------ edits

    def add_hint(self, row: Mapping[str, Any], mask: Any = None, image: bytes | None = None) -> Hint:
        """Say something new.

        Args:
            row: as in `hints.json`; an id is given where it has none.
            mask: of a region, neutral or lock  [(H, W) bool, or above 127]
            image: bytes of a reference's image file.

        Raises:
            HintError: it breaks a rule; nothing is changed.
        """
        row = {"id": self._state.fresh_id("hint", "h"), **row}
        hint = hint_from(self.project, row, mask, image)
        self._edit(lambda project: edits.add_hint(project, hint))
        return hint

    def update_hint(self, hint_id: str, **changes: Any) -> Hint:
        """Change fields of a hint; None takes a field away.

        Raises:
            HintError: there is none of that id, or it breaks a rule; nothing is changed.
        """
        return self._say(lambda project: changed_hint(project, hint_id, changes), edits.update_hint)

    def delete_hint(self, hint_id: str) -> None:
        """Take a hint back; undo brings it again.

        Raises:
            HintError: there is none of that id.
        """
        self._edit(lambda project: edits.delete_hint(project, hint_id))

    def put_region(self, row: Mapping[str, Any]) -> Region:
        """Add a region, or change the one of that id; an id is given where the row has none.

        Raises:
            HintError: it breaks a rule; nothing is changed.
        """
        row = {"id": self._state.fresh_id("region", "r"), **row}
        return self._say(lambda project: region_from(project, row), edits.put_region)

    def delete_region(self, region_id: str) -> None:
        """Take a region back.

        Raises:
            HintError: there is none of that id, or hints still name it.
        """
        self._edit(lambda project: edits.delete_region(project, region_id))

    # ------------------------------------------------------------------ the same region in other shots

    def propose(
        self, region_id: str, *, report: Report = silent, token: CancelToken | None = None
    ) -> list[dict[str, Any]]:
        """Look for a region in the shots where it has no hint, here and now.

        Returns:
            ``id region shot frame score share`` of each proposal, the likeliest first.

        Raises:
            HintError: there is no such region.
            InputError: no hint shows what it looks like, or the recipe does not colour.
        """
        return [found.to_json() for found in self._proposals.look(self.project, region_id, report, token)]

    def start_proposing(self, region_id: str) -> None:
        """The same in the background; `proposals` tells how it stands.

        Raises:
            HintError, InputError: as of `propose`.
        """
        self._proposals.start(self.project, region_id)

    def proposals(self) -> dict[str, Any]:
        """How looking for a region stands, and what waits for an answer; see `studio.proposals.Proposals.told`."""
        return self._proposals.told()

    def proposal_mask(self, proposal_id: str) -> NDArray[np.bool_]:
        """Where a region is proposed  [(H, W) bool].

        Raises:
            InputError: there is no such proposal.
        """
        return self._proposals.get(proposal_id).mask

    def confirm_proposal(self, proposal_id: str) -> Hint:
        """Make a proposal a hint of its region, as if it had been clicked; one gesture.

        Raises:
            InputError: there is no such proposal, or its region is gone.
        """
        with self._proposals.confirming(proposal_id) as found:
            return self.add_hint({"frame": found.frame, "kind": "region", "region": found.region}, mask=found.mask)

    def reject_proposal(self, proposal_id: str) -> None:
        """Take a proposal away; it is not made again while the project is open.

        Raises:
            InputError: there is no such proposal.
        """
        self._proposals.reject(proposal_id)

    def set_cut(self, frame: int, on: bool) -> None:
        """Say that a shot begins at a frame, or that none does.

        Raises:
            InputError: the frame is outside the film, or is its first.
        """
        self.set_cuts({frame: on})

    def set_cuts(self, said: Mapping[int, bool]) -> None:
        """Say of several frames whether a shot begins there; one gesture.

        Raises:
            InputError: a frame is outside the film, or is its first; nothing is changed.
        """
        self._edit(lambda project: edits.set_cuts(project, said))

    def set_recipe(self, recipe: Recipe | str) -> None:
        """Choose what is done to the film: a recipe, a name, or a file. ``auto`` is what was recommended.

        Raises:
            InputError: it does not fit.
        """
        chosen = recipe_of(recipe) if isinstance(recipe, str) else recipe
        checked = (chosen or self.recommended()).checked(self.plugins.stages)
        self._edit(lambda project: edits.set_recipe(project, checked))

    def import_hints(self, file: Path | str) -> int:
        """Take in a hints file, whole or not at all; known ids are replaced. One gesture.

        Returns:
            Number of hints it brought.

        Raises:
            HintError: it breaks a rule; nothing is changed.
        """
        project = self.project
        given = load(Path(file), size=project.clip.size, count=project.clip.count, shots=project.shots)
        self._edit(lambda project: edits.take_in(project, given, Path(file).name))
        return len(given)

    def export_hints(self, file: Path | str) -> None:
        """Write the hints to a file, masks and stills beside it.

        Raises:
            HintError: the folder cannot be written.
        """
        dump(self.project.hints, Path(file))

    def undo(self) -> str:
        """Take back the last gesture; over restarts too.

        Returns:
            Its label.

        Raises:
            InputError: there is none.
        """
        label = self._state.undo()
        self._needs.hush(edited=True)
        self._tell({"version": self.version})
        return label

    def redo(self) -> str:
        """Bring again the gesture taken back last.

        Returns:
            Its label.

        Raises:
            InputError: there is none.
        """
        label = self._state.redo()
        self._needs.hush(edited=True)
        self._tell({"version": self.version})
        return label

    def relink(self, source: Path | str) -> None:
        """Say where the film is now.

        Raises:
            InputError: it is not the same film.
        """
        self._must_write()
        facts = {**self._state.facts["source"], **source_facts(source, self.dir)}
        film = open_film(facts, self.project.clip, self.dir)
        with self._opening:
            self._source = self._source or film
        if self._source is not film:
            film.close()
        if facts != self._state.facts["source"]:
            self._state.set_facts(source=facts)

    def _edit(self, verb: Callable[[Project], Edit]) -> None:
        self._must_write()
        self._needs.hush()
        self._state.commit(verb)
        self._needs.hush(edited=True)
        self._tell({"version": self.version})

    def _say(self, of: Callable[[Project], T], verb: Callable[[Project, T], edits.Edit]) -> T:
        """Edit by what is made of the state as it is then: another may have changed other fields meanwhile."""
        made: list[T] = []

        def edit(project: Project) -> edits.Edit:
            made.append(of(project))
            return verb(project, made[-1])

        self._edit(edit)
        return made[-1]

    def _must_write(self) -> None:
        if self._file_lock is None:
            raise ProjectError(f"{self.dir}: opened only to look; open it for writing to change it")

    def _tell(self, what: Mapping[str, Any]) -> None:
        for listener in list(self._listeners):
            try:
                listener(what)
            except Exception:
                # A tab that went away must not undo an edit that is committed.
                log.exception("a listener failed")

    # ------------------------------------------------------------------ pictures

    def source_picture(self, n: int) -> Picture:
        """Frame ``n`` as decoded  [(H, W, 3) float32 [0, 1] R'G'B'].

        Raises:
            InputError: no such frame, or the film cannot be read.
        """
        return self._film().frame(n).rgb

    def restored_picture(self, n: int) -> Picture:
        """Frame ``n`` as the colouring gets it: repaired, still grey; made now where it is missing."""
        project = self.project
        with self._pictures.renderer(project) as renderer:
            return renderer.before_colour(frame_of(n, colouring_takes(renderer))).rgb

    def coloured_picture(self, n: int) -> Picture:
        """Frame ``n`` as coloured in the final render, hints carried; made now where it is missing.

        A film whose recipe does not colour gives the restored picture.
        """
        project = self.project
        self._needs.hush()
        if not colours(project.recipe):
            return self.restored_picture(n)
        with self._pictures.renderer(project) as renderer:
            return renderer.picture(frame_of(n, colouring_takes(renderer)), after=COLOURISE).rgb

    def matte(self, n: int, step: str = "dedust") -> Picture:
        """What a repair step takes for damage on frame ``n``  [(H, W) float32 [0, 1]]."""
        with self._pictures.renderer(self.project) as renderer:
            return renderer.matte(n, step)

    def preview(self, n: int, extra: Hint | Mapping[str, Any] | None = None, side: int | None = None) -> Picture:
        """Frame ``n`` recoloured at once: hints on this frame by their footprint, others as far as carried.

        Args:
            n: source frame.
            extra: a hint that is not (or not yet) said, or one of the same id said differently.
            side: longest side of the picture in pixels, where less than the film's will do.

        Raises:
            HintError: ``extra`` breaks a rule.
        """
        project = self.project
        self._needs.hush()
        hint = hint_from(project, {"id": "preview", **extra}) if isinstance(extra, Mapping) else extra
        return self._preview.picture(project, n, hint, side)

    def suggest(self, n: int, x: float, y: float, count: int = 5) -> list[dict[str, Any]]:
        """Likely colours of one place, for a person to choose from; there may be none.

        Args:
            n: source frame.
            x: of the place  [source px]
            y: of the place  [source px]
            count: at most so many.

        Returns:
            ``colour`` (sRGB hex at the place's own luma) and ``share`` of likelihood, the likeliest first.

        Raises:
            InputError: the place is outside the picture, or the recipe does not colour.
        """
        project = self.project
        h, w = project.clip.size
        if not (0 <= x < w and 0 <= y < h):
            raise InputError(f"place ({x:g}, {y:g}) is outside the picture of {w}x{h}")
        found = self._preview.suggest(project, n, (x / w, y / h), count)
        return [{"colour": lab_to_hex(row[:3]), "share": round(float(row[3]), 3)} for row in found]

    def need(self, near: int, since: int = 0) -> dict[str, Any]:
        """How much of each frame is in need of a hint, as far as it is known; see `studio.need.Needs.told`."""
        return self._needs.told(near, since)

    def need_map(self, n: int) -> Picture | None:
        """How likely each place of frame ``n`` shows a wrong colour  [(h, w) float32 [0, 1]], once that is known."""
        return self._needs.map(n)

    def hint_mask(self, hint_id: str) -> NDArray[np.bool_] | None:
        """A hint's mask  [(H, W) bool], or None where it has none."""
        mask = self.project.hints.hint(hint_id).mask
        return None if mask is None else mask.inside

    def segment(
        self,
        n: int,
        points: list[tuple[float, float, bool]],
        box: tuple[float, float, float, float] | None = None,
        lasso: Outline | None = None,
        strokes: Sequence[Stroke] = (),
    ) -> NDArray[np.bool_]:
        """The object that is meant by what was drawn on frame ``n``  [(H, W) bool].

        Args:
            n: source frame.
            points: (x, y, whether inside)  [source px].
            box: (left, top, right, bottom) the object lies in  [source px].
            lasso: a loop the object lies in  [source px].
            strokes: of the brush, in order  [source px].

        Raises:
            InputError: nothing was drawn, or it lies outside the picture.
        """
        return self._segmenters.mask(self.restored_picture(n), points, box, lasso, strokes)

    def prepare_segment(self, n: int) -> None:
        """Let the segmenter look at frame ``n`` in the background: a click on it may follow."""
        self._segmenters.prepare(lambda: self.restored_picture(n))

    # ------------------------------------------------------------------ renders

    def check_hints(
        self, *, colouriser: str | None = None, report: Report = silent, token: CancelToken | None = None
    ) -> dict[str, Any]:
        """ΔE2000 asked for against rendered, for each hint: what `hints check` reports.

        Args:
            colouriser: in place of the recipe's, for this time.
            report: told how far the carrying of hints is.
            token: stops that.

        Raises:
            InputError: the recipe does not colour.
        """
        hints = self.project.hints
        with self._renderer(colouriser=colouriser) as renderer:
            renderer.carry(report=report, token=token)
            return check(hints, renderer)

    def start_render(self, shot: int | None = None, purpose: Purpose = "shot", out: Path | str | None = None) -> str:
        """Queue a render.

        Args:
            shot: number of the shot; None for the whole film.
            purpose: ``shot`` to look at, ``deliver`` into ``out``.
            out: file or folder of a delivery.

        Returns:
            The job's id, once it is on disk.

        Raises:
            InputError: no such shot, or a delivery without ``out``.
        """
        self._must_write()
        if shot is not None and not 0 <= shot < len(self.project.shots):
            raise InputError(f"shot {shot}: the film has shots 0 to {len(self.project.shots) - 1}")
        if purpose == "deliver" and out is None:
            raise InputError("a delivery needs a file or folder to go to")
        place = None if out is None else str(Path(out).absolute())
        if place is not None:
            check_out(Path(place), self.project.clip)
        return self._jobs.start(purpose, shot=shot, out=place, version=self.version)

    def render(
        self,
        out: Path | str | None = None,
        *,
        frames: str | None = None,
        preview: bool = False,
        colouriser: str | None = None,
        report: Report = silent,
        token: CancelToken | None = None,
    ) -> Delivered:
        """Bring the project up to date here and now, and write it out where ``out`` is given.

        Args:
            out: file or folder; None only fills the cache.
            frames: ``A:B`` of the result; all where None.
            preview: small, and without the steps that change size or rate.
            colouriser: in place of the recipe's, for this time.
            report: told how far it is.
            token: stops it between frames.

        Raises:
            InputError: what is asked does not fit the project.
            Cancelled: the token was set; what is finished is kept.
        """
        with self._renderer(preview=preview, colouriser=colouriser) as renderer:
            span = None if frames is None else parse_range(frames, renderer.timeline.count)
            try:
                return deliver(renderer, out, span=span, report=report, token=token)
            finally:
                self._counts.forget()

    @contextmanager
    def _renderer(self, *, preview: bool = False, colouriser: str | None = None) -> Iterator[Renderer]:
        """A renderer of the state as it is now, for one render."""
        project = self.project
        recipe = with_options(project.recipe, colouriser=colouriser)
        film: FrameSource = Reading(self._film())
        if preview:
            recipe, film = proxy_recipe(recipe, self.plugins), Proxy(film)
        try:
            size = project.clip.size
            yield make_renderer(film, project.shots, recipe, project.hints, self._machine, said_on=size)
        finally:
            film.close()

    def _work(self, job: Job, report: Report, token: CancelToken) -> Mapping[str, Any]:
        """One job, in the worker's thread."""
        between = self._jobs.serve_shots if job.purpose == "deliver" else _nothing
        with self._renderer() as renderer:
            span = None if job.shot is None else renderer.timeline.shots[job.shot].range
            return deliver(renderer, job.out, span=span, report=report, token=token, between=between).to_json()

    def _working(self) -> bool:
        """Whether something runs that a person asked for and waits for."""
        return self._proposals.running or any(job.state in OPEN for job in self._jobs.all())

    def _carried(self, shot: Shot) -> None:
        """Hints of a shot have been carried beside a render: its frames can be told, and look different."""
        self._counts.forget(shot.id)
        self.carries += 1

    def _job_changed(self, job: Job) -> None:
        if job.state not in OPEN:
            self._counts.forget(job.shot)
        self._tell({"job": job.to_json()})

    def job(self, job_id: str) -> dict[str, Any]:
        """One job as JSON values.

        Raises:
            InputError: there is none of that id.
        """
        return self._jobs.get(job_id).to_json()

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs as JSON values, oldest first."""
        return [job.to_json() for job in self._jobs.all()]

    def cancel(self, job_id: str) -> None:
        """Stop a job between two frames."""
        self._jobs.cancel(job_id)

    def resume(self, job_id: str) -> str:
        """Go on with a job that was interrupted, cancelled or failed."""
        return self._jobs.resume(job_id)

    def wait(self, job_id: str, timeout_seconds: float | None = None) -> dict[str, Any]:
        """Block until a job has ended or the time is up."""
        return self._jobs.wait(job_id, timeout_seconds).to_json()


def _nothing() -> None:
    """Between two frames of a shot nothing else is served."""

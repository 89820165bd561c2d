"""What a person does in the studio, done by a browser, judged by the pixels on its screen."""

import http.client
import json

import numpy as np
import pytest

from core.film.colour import delta_e, hex_to_lab, srgb_to_lab
from tests.browser.desk import write_film
from tests.studio.ui.fake import COUNT, CUTS, SQUARES, H, W, picture

RED, BLUE = "#9a3b2f", "#3a5f9a"
# A place on the light square of frame 0, and one on the ground beside it.
SQUARE, GROUND = (100.5, 120.5), (250.5, 60.5)


def lab(rgb):
    return srgb_to_lab(np.float32(rgb).reshape(1, 1, 3) / 255)[0, 0]


def off_chroma(rgb, colour):
    """ΔE2000 between a pixel and the colour asked for, both at the pixel's own lightness."""
    seen, asked = lab(rgb), hex_to_lab(colour)
    return float(delta_e(seen, np.float32([seen[0], asked[1], asked[2]])))


def number_on_screen(page):
    """The frame number as it is painted into the film's bottom edge."""
    bits = [sum(page.pixel(bit * 16 + 8.5, H - 7.5)) / 3 > 128 for bit in range(8)]
    return sum(1 << bit for bit, on in enumerate(bits) if on)


def point(page, colour=RED, at=SQUARE):
    page.colour(colour)
    page.press("p")
    page.click(*at)
    page.until("pochoir.store.project.hints.length > 0 && pochoir.timings.length > 0")
    page.settled()


def test_opens_on_a_frame_of_the_film_and_hides_what_is_not_ours(page):
    assert page.tab.title() == f"{page.server.session.describe()['name']} – Pochoir"
    assert number_on_screen(page) == 0
    assert page.ask("[...document.querySelectorAll('.shot')].length") == len(CUTS)
    assert not page.tab.locator("footer").is_visible()
    assert page.ask("document.documentElement.scrollHeight <= innerHeight")


def test_every_step_shows_exactly_its_frame(page):
    steps = [
        (["ArrowRight"], 1),
        (["ArrowRight"] * 4, 5),
        (["ArrowLeft"], 4),
        (["Shift+ArrowRight"], 14),
        (["End"], COUNT - 1),
        (["ArrowRight"], COUNT - 1),
        (["Shift+ArrowLeft"], COUNT - 11),
        (["Home"], 0),
        (["ArrowDown"], CUTS[1]),
        (["ArrowDown", "ArrowUp", "ArrowUp"], CUTS[0]),
    ]
    for keys, n in steps:
        page.press(*keys)
        page.shows(n)
        assert number_on_screen(page) == n
    for n in (17, 3, COUNT - 1):
        page.go(n)
        assert number_on_screen(page) == n


def test_a_frame_number_may_be_a_step_and_nonsense_changes_nothing(page):
    page.go(20)
    page.tab.fill("#frame", "+5")
    page.tab.press("#frame", "Enter")
    page.shows(25)
    page.tab.fill("#frame", "soon")
    page.tab.press("#frame", "Enter")
    assert page.tab.input_value("#frame") == "25"
    page.tab.fill("#frame", "9999")
    page.tab.press("#frame", "Enter")
    page.shows(COUNT - 1)


def test_play_shows_frames_in_order_and_stops(page):
    page.ask(
        "(() => { window.seen = []; const p = pochoir.viewer.paint;"
        " pochoir.viewer.paint = function () { p.call(this); seen.push(this.shownFrame); }; })()"
    )
    page.press("Space")
    page.until("pochoir.store.frame >= 8")
    page.press("k")
    seen = [n for n in page.ask("seen") if n >= 0]
    assert seen == sorted(seen)
    still = page.ask("pochoir.store.frame")
    page.shows(still)


def test_a_click_colours_the_pixel_and_undo_restores_it(page):
    before = page.pixel(*SQUARE)
    assert off_chroma(before, RED) > 8
    point(page)
    after = page.pixel(*SQUARE)
    assert off_chroma(after, RED) < 3
    assert abs(lab(after)[0] - lab(before)[0]) < 1.5
    page.press("Control+z")
    page.until("pochoir.store.project.hints.length === 0")
    page.settled()
    assert np.abs(np.subtract(page.pixel(*SQUARE), before)).max() <= 2
    page.press("Control+Shift+z")
    page.until("pochoir.store.project.hints.length === 1")
    page.settled()
    assert off_chroma(page.pixel(*SQUARE), RED) < 3


def test_half_a_strength_is_half_the_colour_on_screen(page):
    before = lab(page.pixel(*SQUARE))
    point(page)
    whole = lab(page.pixel(*SQUARE))
    page.until("pochoir.store.selected !== null")
    slider = page.tab.locator("#strength input")
    assert slider.input_value() == "100"
    slider.fill("50")
    page.until("pochoir.store.project.hints[0].strength === 0.5")
    page.settled()
    half = lab(page.pixel(*SQUARE))
    assert half[1:] == pytest.approx((before[1:] + whole[1:]) / 2, abs=2.5)
    slider.fill("100")
    page.until("!('strength' in pochoir.store.project.hints[0])")
    page.settled()
    assert lab(page.pixel(*SQUARE)) == pytest.approx(whole, abs=1.0)


def test_in_a_shot_once_rendered_the_exact_picture_takes_the_preview_s_place(page):
    page.tab.click("#render-shot")
    page.until("pochoir.store.project.shots[0].state === 'rendered'")
    point(page)
    page.until("document.querySelector('#shown').dataset.quality === 'exact'")
    assert off_chroma(page.pixel(*SQUARE), RED) < 3


def test_zoomed_and_panned_the_click_still_hits_its_pixel(page):
    page.tab.mouse.move(*page.place(*SQUARE))
    scale = page.ask("pochoir.viewer.camera.scale")
    for _ in range(6):
        page.tab.mouse.wheel(0, -200)
    page.until("Math.abs(pochoir.viewer.camera.scale / a[0] - Math.exp(6 * 200 * 0.0016)) < 0.01", scale)
    x, y = page.place(*SQUARE)
    page.tab.mouse.move(x, y)
    page.tab.mouse.down(button="middle")
    page.tab.mouse.move(x + 90, y - 40)
    page.tab.mouse.up(button="middle")
    page.settled()
    assert page.place(*SQUARE) == pytest.approx((x + 90, y - 40), abs=1)
    point(page)
    xy = page.server.session.describe()["hints"][0]["xy"]
    assert xy == pytest.approx(SQUARE, abs=0.2)
    page.press("f")
    page.until("pochoir.viewer.camera.fitted")


def test_a_hint_is_chosen_moved_recoloured_and_deleted(page):
    point(page)
    page.press("v")
    x, y = page.place(*SQUARE)
    page.tab.mouse.move(x, y)
    page.tab.mouse.down()
    page.tab.mouse.move(x + 30, y + 20, steps=4)
    page.tab.mouse.up()
    page.until("pochoir.store.project.undo_label !== null && pochoir.store.project.hints[0].xy[0] > 101")
    page.colour(BLUE)
    page.until("pochoir.store.project.hints[0].colour === a[0]", BLUE)
    page.settled()
    # Exact where it is now; beside it, on the same square, as near as the network takes it.
    assert off_chroma(page.pixel(*page.ask("pochoir.store.project.hints[0].xy")), BLUE) < 3
    assert off_chroma(page.pixel(*SQUARE), BLUE) < 10 < off_chroma(page.pixel(*SQUARE), RED)
    assert page.tab.locator(".hint").count() == 1
    page.press("Delete")
    page.until("pochoir.store.project.hints.length === 0")
    assert page.tab.locator(".hint").count() == 0


def test_likely_colours_are_offered_where_a_hint_is_and_one_click_takes_one(page):
    assert not page.tab.locator("#suggested").is_visible()
    point(page)
    page.until("document.querySelectorAll('#suggested button').length > 0")
    offered = page.ask("[...document.querySelectorAll('#suggested button')].map(b => b.title.slice(0, 7))")
    assert len(set(offered)) == len(offered) <= 5
    page.tab.locator("#suggested button").first.click()
    page.until(f"pochoir.store.project.hints[0].colour === '{offered[0]}'")
    page.settled()
    assert off_chroma(page.pixel(*SQUARE), offered[0]) < 3
    page.press("v")
    page.click(*GROUND)
    page.until("document.querySelector('#suggested').hidden")


def test_a_region_is_clicked_taken_from_and_accepted(page):
    page.colour(BLUE)
    page.press("r")
    page.click(*SQUARE)
    page.until("pochoir.viewer.tools.making?.png")
    page.click(*GROUND, button="right")
    page.until("pochoir.viewer.tools.making.points.length === 2 && pochoir.viewer.tools.making.share != null")
    assert "+1 −1" in page.tab.inner_text("#making")
    page.press("Enter")
    page.until("pochoir.store.project.hints.length === 1")
    page.settled()
    session = page.server.session
    hint = session.describe()["hints"][0]
    mask = session.hint_mask(hint["id"])
    true = np.zeros((H, W), bool)
    true[70:170, 60:150] = True
    assert (mask & true).sum() / (mask | true).sum() > 0.85
    for x, y in ((70.5, 80.5), (140.5, 160.5)):
        assert off_chroma(page.pixel(x, y), BLUE) < 4
    assert off_chroma(page.pixel(*GROUND), BLUE) > 8


def test_escape_leaves_no_hint(page):
    page.press("r")
    page.click(*SQUARE)
    page.until("pochoir.viewer.tools.making?.png")
    page.press("Escape")
    assert page.tab.locator("#making").is_hidden()
    page.press("Enter")
    assert page.server.session.describe()["hints"] == []


def test_a_scribble_is_drawn(page):
    page.colour(RED)
    page.press("s")
    page.tab.mouse.move(*page.place(80, 100))
    page.tab.mouse.down()
    page.tab.mouse.move(*page.place(130, 140), steps=8)
    page.tab.mouse.up()
    page.until("pochoir.store.project.hints.length === 1")
    page.settled()
    path = page.server.session.describe()["hints"][0]["path"]
    assert len(path) > 3
    assert path[0] == pytest.approx([80, 100], abs=0.5)
    assert off_chroma(page.pixel(105.5, 120.5), RED) < 4


def test_the_eyedropper_takes_the_picture_s_colour(page):
    seen = page.pixel(*SQUARE)
    page.press("p", "e")
    page.click(*SQUARE)
    taken = page.tab.input_value("#hex")
    assert np.abs(np.subtract([int(taken[i : i + 2], 16) for i in (1, 3, 5)], seen)).max() <= 3
    assert page.ask("pochoir.store.tool") == "point"


def test_a_region_has_a_name_and_evidence_and_recolours_everywhere(page):
    page.colour(RED)
    page.tab.click("#new-region")
    page.tab.fill("#evidence [name=name]", "Officer's coat")
    page.tab.fill("#evidence [name=source]", "dye book, plate 12")
    page.tab.click('#certainty [data-value="documented"]')
    page.tab.fill("#evidence [name=author]", "A. Restorer")
    page.tab.click("#evidence .plain")
    page.until("pochoir.store.project.regions.length === 1")
    page.press("p")
    page.click(*SQUARE)
    page.until("pochoir.store.project.hints.length === 1")
    region = page.server.session.describe()["regions"][0]
    assert region["name"] == "Officer's coat"
    assert region["evidence"]["source"] == "dye book, plate 12"
    assert region["evidence"]["certainty"] == "documented"
    assert page.server.session.describe()["hints"][0]["region"] == region["id"]
    page.colour(BLUE)
    page.until("pochoir.store.project.regions[0].colour === a[0]", BLUE)
    page.settled()
    assert off_chroma(page.pixel(*SQUARE), BLUE) < 3


def test_keyframes_are_reached_by_key(page):
    for n in (2, 20):
        page.go(n)
        page.press("p")
        page.click(*GROUND)
        page.until("pochoir.store.project.hints.some((h) => h.frame === a[0])", n)
        page.settled()
    page.go(0)
    for key, n in (("]", 2), ("]", 20), ("]", 20), ("[", 2)):
        page.press(key)
        page.shows(n)


def test_the_wipe_shows_before_and_after_at_its_sides(page):
    point(page)
    point(page, at=(135.5, 120.5))  # where it is looked at: a point's colour fades on the way there
    page.press("w")
    page.until("pochoir.viewer.before")
    page.settled()

    def divide(x):
        y = 20.5
        left, top = page.place(W * page.ask("pochoir.viewer.wipe"), y)
        page.tab.mouse.move(left, top)
        page.tab.mouse.down()
        page.tab.mouse.move(*page.place(x, y), steps=5)
        page.tab.mouse.up()
        page.settled()

    divide(120)
    grey, coloured = page.pixel(90.5, 120.5), page.pixel(135.5, 120.5)
    assert max(grey) - min(grey) <= 4
    assert np.abs(np.subtract(grey, picture(0)[120, 90] * 255)).max() <= 4
    assert off_chroma(coloured, RED) < 3
    divide(80)
    assert off_chroma(page.pixel(90.5, 120.5), RED) < 3
    page.press("a")
    page.settled()
    page.tab.keyboard.down("b")
    page.settled()
    held = page.pixel(90.5, 120.5)
    assert max(held) - min(held) <= 4
    page.tab.keyboard.up("b")
    page.settled()
    assert off_chroma(page.pixel(90.5, 120.5), RED) < 3


def test_reload_keeps_hints_and_place(page):
    page.go(7)
    page.colour(RED)
    page.press("p")
    page.click(*SQUARE)
    page.until("pochoir.store.project.hints.length === 1")
    page.settled()
    page.tab.reload()
    page.until("window.pochoir?.viewer.shownFrame === 7")
    assert number_on_screen(page) == 7
    assert page.tab.locator(".hint").count() == 1
    page.until("pochoir.viewer.after")
    assert off_chroma(page.pixel(*SQUARE), RED) < 4


def need_bar(page, n):
    """How high the bar of frame ``n`` stands in the timeline's strip of need, in pixels; 0 where there is none."""
    return page.ask(
        "(() => { const canvas = document.querySelector('#timeline'), ratio = canvas.width / canvas.clientWidth;"
        " const x = Math.floor(((a[0] + 0.5) / pochoir.store.project.clip.count) * canvas.width);"
        " const copy = new OffscreenCanvas(1, 14 * ratio).getContext('2d', { willReadFrequently: true });"
        " copy.drawImage(canvas, -x, -37 * ratio); const band = copy.getImageData(0, 0, 1, 14 * ratio).data;"
        " let high = 0; for (let i = 0; i < band.length; i += 4)"
        " if (Math.max(...band.slice(i, i + 3)) - Math.min(...band.slice(i, i + 3)) > 40) high++;"
        " return high / ratio; })()",
        n,
    )


def need_known(page, n, before=None):
    """Wait until need is told for a frame, anew where it was told before, and drawn."""
    page.until("pochoir.needOf(a[0]) && pochoir.needOf(a[0]).share !== a[1] && pochoir.store.due === 0", n, before)
    page.ask("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page.ask("pochoir.needOf(a[0]).share", n)


def heat(page, x, y):
    """How strongly the heat map covers a place  [0, 255]."""
    return page.ask(
        "(() => { const v = pochoir.viewer, at = v.camera.toScreen({ x: a[0], y: a[1] });"
        " const c = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });"
        " c.drawImage(v.overlay, -Math.round(at.x * v.ratio), -Math.round(at.y * v.ratio));"
        " return c.getImageData(0, 0, 1, 1).data[3]; })()",
        x,
        y,
    )


def test_need_of_hints_is_told_and_falls_where_a_hint_speaks(page):
    # Beside the square's handle, which is painted over the map.
    beside = (SQUARE[0] + 30, SQUARE[1] + 30)
    page.press("v")
    before = need_known(page, 0)
    bar = need_bar(page, 0)
    assert bar > 0
    page.press("d")
    page.until("pochoir.viewer.heat?.frame === 0")
    page.settled()
    hot = heat(page, *beside)
    assert hot > 0
    for at in (SQUARE, GROUND):
        point(page, at=at)
    after = need_known(page, 0, before)
    assert after < before - 0.1
    assert need_bar(page, 0) < bar
    page.until("pochoir.viewer.heat?.row === pochoir.needOf(0)")
    page.settled()
    assert heat(page, *beside) < hot
    page.press("d")
    page.settled()
    assert heat(page, *beside) == 0


def test_one_jumps_to_the_next_place_in_need(page):
    need_known(page, 0)
    places = page.ask("import('/v1/static/need.js').then((m) => m.places())")
    assert places
    assert places == sorted(set(places))
    later = [n for n in places if n > 0]
    page.press("q")
    page.shows((later or places)[0])
    ahead = page.ask("pochoir.store.frame")
    assert page.ask("pochoir.store.pointed") == ahead
    page.press("Shift+Q")
    page.shows([n for n in places if n < ahead][-1] if any(n < ahead for n in places) else places[-1])


def test_nothing_is_worked_out_where_need_is_switched_off(page):
    need_known(page, 0)
    page.tab.click("#need")
    page.settled()
    assert page.ask("pochoir.needOf(0)") is None
    assert need_bar(page, 0) == 0
    page.tab.click("#need")
    need_known(page, 0)
    assert need_bar(page, 0) > 0


def square(n):
    """Where the light square is on frame ``n``  [(H, W) bool], and its middle."""
    shot = sum(n >= c for c in CUTS) - 1
    left, top = SQUARES[shot][0] + 3 * (n - CUTS[shot]), SQUARES[shot][1]
    mask = np.zeros((H, W), bool)
    mask[top : top + 100, left : left + 90] = True
    return mask, (left + 45.5, top + 50.5)


def test_a_region_is_found_in_other_shots_and_confirmed_or_rejected(page):
    session = page.server.session
    session.put_region({"id": "coat", "name": "Coat", "colour": RED})
    session.add_hint({"frame": 0, "kind": "region", "region": "coat"}, mask=square(0)[0])
    page.until("pochoir.store.project.hints.length === 1")
    page.tab.click("#regions .chip >> nth=1")
    page.tab.click("#find-region")
    page.until("document.querySelectorAll('#found-list .place').length === 2")
    page.until("document.querySelector('#found').textContent === ''")
    rows = session.proposals()["rows"]
    assert sorted(row["shot"] for row in rows) == [1, 2]
    yes, no = rows
    for row in rows:
        there, here = square(row["frame"])[0], session.proposal_mask(row["id"])
        assert (there & here).sum() / (there | here).sum() > 0.7
    # The person looks: the frame comes up with the place drawn over it.
    _, middle = square(yes["frame"])
    page.tab.click(f'#found-list .place[data-id="{yes["id"]}"]')
    page.shows(yes["frame"])
    page.until("pochoir.viewer.proposed?.frame === a[0]", yes["frame"])
    page.settled()
    assert heat(page, *middle) > 60
    page.tab.click(f'#found-list .place[data-id="{yes["id"]}"] .yes')
    page.until("pochoir.store.project.hints.length === 2")
    page.settled()
    assert page.tab.locator("#found-list .place").count() == 1
    hint = session.describe()["hints"][1]
    assert (hint["kind"], hint["frame"], hint["region"]) == ("region", yes["frame"], "coat")
    assert off_chroma(page.pixel(*middle), RED) < 4
    # One change of colour reaches both shots, and no other.
    keys = page.ask("pochoir.store.project.shots.map((s) => s.key)")
    page.colour(BLUE)
    page.until("pochoir.store.project.regions[0].colour === a[0]", BLUE)
    page.settled()
    assert off_chroma(page.pixel(*middle), BLUE) < 4
    moved = [a != b for a, b in zip(keys, page.ask("pochoir.store.project.shots.map((s) => s.key)"), strict=True)]
    assert moved == [n in (0, yes["shot"]) for n in range(len(CUTS))]
    page.go(0)
    page.painted()
    assert off_chroma(page.pixel(*square(0)[1]), BLUE) < 4
    page.press("Control+z", "Control+z")
    page.until("pochoir.store.project.hints.length === 1")
    # A no is remembered.
    page.tab.click(f'#found-list .place[data-id="{no["id"]}"] .no')
    page.until("document.querySelectorAll('#found-list .place').length === 0")
    page.tab.click("#find-region")
    page.until("document.querySelectorAll('#found-list .place').length === 1")
    page.until("document.querySelector('#found').textContent === ''")
    assert [row["shot"] for row in session.proposals()["rows"]] == [yes["shot"]]


def test_another_tab_sees_the_edit(page):
    other = page.tab.context.new_page()
    other.goto(page.server.url)
    other.wait_for_function("window.pochoir?.viewer.shownFrame >= 0")
    point(page)
    other.wait_for_function("pochoir.store.project.hints.length === 1")
    other.close()


def test_a_render_shows_progress_outlives_the_tab_and_is_cancelled(page):
    page.tab.click("#render-film")
    page.tab.wait_for_selector(".job[data-state=running]")
    page.tab.reload()
    page.tab.wait_for_selector(".job[data-state=running]", timeout=15_000)
    page.until("pochoir.store.jobs[0].done > 0")
    page.tab.click(".job .cancel")
    page.tab.wait_for_selector(".job[data-state=cancelled]")


def test_a_rendered_shot_is_marked_and_goes_stale_with_an_edit(page):
    page.go(CUTS[1])
    page.tab.click("#render-shot")
    page.tab.wait_for_selector('.shot[data-shot="1"][data-state=rendered]', timeout=30_000)
    page.press("p")
    page.click(*GROUND)
    page.tab.wait_for_selector('.shot[data-shot="1"][data-state=stale]')
    assert page.tab.get_attribute('.shot[data-shot="0"]', "data-state") != "stale"


def test_a_cut_is_set_and_taken_away(page):
    page.go(6)
    page.press("c")
    page.until("pochoir.store.project.shots.length === a[0]", len(CUTS) + 1)
    assert page.tab.inner_text("#cut").strip() == "Join shots"
    page.press("c")
    page.until("pochoir.store.project.shots.length === a[0]", len(CUTS))


def test_what_is_wrong_is_said_in_words(page):
    page.tab.click('[data-tab="deliver"]')
    page.tab.fill("#hints-path", "/nowhere/hints.json")
    page.tab.click("#import")
    page.tab.wait_for_selector(".toast")
    assert "/nowhere/hints.json" in page.tab.inner_text(".toast")
    page.tab.click("#projects")
    page.tab.fill("#open [name=path]", "/nowhere/reel.pochoir")
    page.tab.click("#open .plain")
    page.until("document.querySelector('#picker-fault').textContent.includes('/nowhere')")
    page.tab.click("#picker-close")
    assert page.tab.locator("#picker").is_hidden()
    # The refusals themselves are logged by the browser; they are what this test asks for.
    page.faults[:] = [f for f in page.faults if "400" not in f]


def test_the_guard_turns_strangers_away(page):
    port = page.server.port
    for headers, status in (
        ({"Host": f"evil.example:{port}"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        ours = {"X-Pochoir": "1", "Content-Type": "application/json"}
        connection.request("POST", "/v1/undo", json.dumps({}), {**ours, **headers})
        answer = connection.getresponse()
        assert answer.status == status
        assert answer.headers["X-Frame-Options"] == "DENY"
        connection.close()


def test_another_project_is_made_and_the_first_opened_again(page, tmp_path):
    film = write_film(tmp_path / "second")
    page.tab.click("#projects")
    page.tab.fill("#create [name=source]", str(film))
    page.tab.fill("#create [name=rate]", "18")
    page.tab.select_option("#create [name=recipe]", "colour")
    page.tab.click("#create .plain")
    page.until("pochoir.store.project?.name === 'second'")
    page.painted()
    assert "18 fps" in page.tab.inner_text("#facts")
    page.tab.click("#projects")
    page.tab.click("#recents button:has-text('film.pochoir')")
    page.until("pochoir.store.project?.name === 'film'")
    page.painted()


def test_a_step_is_switched_on_where_it_belongs_and_set(page):
    page.tab.click('[data-tab="recipe"]')
    page.tab.click('.stage-card[data-stage="dedust"] .switch')
    page.until("pochoir.store.project.recipe.steps.some((s) => s.stage === 'dedust' && s.on)")
    steps = [step["stage"] for step in page.server.session.describe()["recipe"]["steps"]]
    assert steps == ["dedust", "colourise", "slow"]
    page.tab.click('.stage-card[data-stage="colourise"] .name')
    page.tab.fill('.stage-card[data-stage="colourise"] .control:has-text("saturation") input[type=text]', "0.5")
    page.press("Enter")
    page.until("pochoir.store.project.recipe.steps[1].params.saturation === 0.5")

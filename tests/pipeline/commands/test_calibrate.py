"""`irvis calibrate`: what it finds, writes and prints, and what it refuses."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from common.errors import ConfigError, DataError
from pipeline.commands._calibration_pairs import PAIRS
from pipeline.commands.calibrate import calibrate, print_report
from pipeline.geometry.alignment import scaling
from pipeline.geometry.checkerboard import checkerboard
from pipeline.geometry.registration import (
    Calibration,
    Made,
    Residual,
    read,
    write,
)
from pipeline.images import to_grey
from scenes.climate import Conditions
from scenes.render import Clip
from tests.helpers.runs import silent
from tests.helpers.textures import corner_error, textures
from tests.scenes.clips import painted

SIZE = (256, 320)  # of the visible image
HALF = (128, 160)


# visible to infrared pixels at the visible size, as the drive takes it
DRIVE = np.array([[1.03, 0.015, 5.0], [-0.01, 1.04, -6.0], [2e-5, -3e-5, 1.0]])


def render(homography, times=("day", "dusk"), frames=3):
    """(infrared, visible RGB) at SIZE."""
    pairs = []
    for number, time in enumerate(times):
        clip = painted(Clip(
            5, number, size=SIZE, frame_rate=Fraction(1, 2), ir_homography=homography,
            conditions=Conditions(time),
        ))  # fmt: skip
        scenes = [clip.scene(index) for index in range(frames)]
        pairs += [(scene.ir, scene.vis) for scene in scenes]
    return pairs


def halved(image):
    return cv2.resize(image, HALF[::-1], interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def drive():
    return render(DRIVE)


@pytest.fixture(scope="module")
def straight():
    return render(None, ("day",), 3)


def save(folder, pairs):
    for name, index in (("ir", 0), ("vi", 1)):
        (folder / name).mkdir()
        for number, pair in enumerate(pairs):
            Image.fromarray(pair[index]).save(folder / name / f"{number:02d}.png")
    return folder / "ir", folder / "vi"


def test_a_drive_of_one_size(tmp_path, drive):
    seen = []
    found = calibrate(*save(tmp_path, drive), on_progress=lambda *step: seen.append(step))
    assert corner_error(found.matrix, np.linalg.inv(DRIVE), SIZE) < 1
    assert (found.ir_size, found.vis_size) == (SIZE, SIZE)
    assert (found.made.pairs, found.made.model, found.made.by) == (
        6,
        "homography",
        "irvis calibrate",
    )
    assert found.made.used >= 5
    assert 0 < found.made.residual_px.median < 2
    assert found.made.residual_px.p95 >= found.made.residual_px.median
    assert seen == [(done, 90) for done in range(1, 91)]  # 6 pairs, 5 rounds, 3 models


def test_a_camera_of_half_the_resolution(tmp_path, drive):
    folders = save(tmp_path, [(halved(ir), vis) for ir, vis in drive])
    found = calibrate(*folders, model="homography", on_progress=silent)
    truth = np.linalg.inv(scaling(0.5, 0.5) @ DRIVE)
    assert (found.ir_size, found.vis_size) == (HALF, SIZE)
    assert corner_error(found.matrix, truth, HALF) < 1.5


def test_a_narrower_view_of_another_shape(tmp_path, straight):
    """The middle of the view alone, enlarged: scale and shape tell nothing about the zoom."""
    cut = [(cv2.resize(ir[48:208, 50:270], (330, 240)), vis) for ir, vis in straight]
    found = calibrate(*save(tmp_path, cut), on_progress=silent)
    truth = np.array([[1, 0, 50], [0, 1, 48], [0, 0, 1]]) @ np.linalg.inv(scaling(1.5, 1.5))
    assert corner_error(found.matrix, truth, (240, 330)) < 1.5
    assert found.made.model == "similarity"  # three pairs are too few for more


def test_two_images_give_a_calibration_without_a_residual(tmp_path, straight, capsys):
    ir, vis = save(tmp_path, straight[:1])
    found = calibrate(ir / "00.png", vis / "00.png", model="translation", on_progress=silent)
    assert corner_error(found.matrix, np.eye(3), SIZE) < 0.5
    assert (found.made.pairs, found.made.used, found.made.residual_px) == (1, 1, None)
    print_report(found)
    assert "fewer than two pairs" in capsys.readouterr().out


def test_recordings(tmp_path, drive):
    names = []
    for name, index in (("ir", 0), ("vis", 1)):
        path = tmp_path / f"{name}.mkv"
        with av.open(str(path), "w") as file:
            stream = file.add_stream("ffv1", rate=5)
            stream.height, stream.width = SIZE
            stream.pix_fmt = "gray" if name == "ir" else "bgr0"
            for pair in drive[:4]:
                kind = "gray" if name == "ir" else "rgb24"
                frame = av.VideoFrame.from_ndarray(pair[index], format=kind)
                file.mux(stream.encode(frame))
            file.mux(stream.encode())
        names.append(path)
    found = calibrate(*names, model="homography", on_progress=silent)
    assert found.made.pairs == 4
    assert corner_error(found.matrix, np.linalg.inv(DRIVE), SIZE) < 1.5


def test_sixteen_bit_infrared_needs_its_range(tmp_path, straight):
    pairs = [(ir.astype(np.uint16) * 20 + 29000, vis) for ir, vis in straight]
    folders = save(tmp_path, pairs)
    with pytest.raises(DataError, match="16-bit infrared needs --ir-range LOW HIGH, the counts"):
        calibrate(*folders, on_progress=silent)
    found = calibrate(*folders, model="translation", ir_range=(29000, 34100), on_progress=silent)
    assert corner_error(found.matrix, np.eye(3), SIZE) < 0.5


def test_pairs_are_spread_over_a_long_folder(tmp_path):
    pairs = textures(np.eye(3), 3, (64, 80))
    for name, index in (("ir", 0), ("vi", 1)):
        (tmp_path / name).mkdir()
        for number in range(95):
            Image.fromarray(pairs[number % 3][index]).save(tmp_path / name / f"{number}.png")
    (tmp_path / "ir" / "0.png").unlink()  # has no partner then: left out
    found = calibrate(tmp_path / "ir", tmp_path / "vi", model="translation", on_progress=silent)
    assert found.made.pairs == PAIRS


def test_the_same_input_gives_the_same_bytes(tmp_path, straight):
    folders = save(tmp_path, straight)
    texts = []
    for name in ("a.json", "b.json"):
        found = calibrate(*folders, model="homography", on_progress=silent)
        write(tmp_path / name, found)
        texts.append((tmp_path / name).read_bytes())
    assert texts[0] == texts[1]
    assert isinstance(read(tmp_path / "a.json"), Calibration)


def test_the_picture_has_squares_of_both(tmp_path, straight):
    picture = tmp_path / "checker.png"
    calibrate(*save(tmp_path, straight), model="translation", picture=picture, on_progress=silent)
    assert np.asarray(Image.open(picture)).shape == (*SIZE, 3)
    with pytest.raises(ConfigError, match=r"ends with \.png"):
        calibrate(tmp_path, tmp_path, picture=tmp_path / "checker.jpg", on_progress=silent)
    with pytest.raises(ConfigError, match="there is no folder"):
        calibrate(tmp_path, tmp_path, picture=tmp_path / "none" / "a.png", on_progress=silent)


def test_infrared_squares_are_orange_and_end_where_the_camera_does():
    straight = Calibration(
        schema=1, homography=((1, 0, 60), (0, 1, 0), (0, 0, 1)), ir_size=SIZE, vis_size=SIZE
    )
    ir, vis = np.full(SIZE, 200, np.uint8), np.full(SIZE, 50, np.uint8)
    board = checkerboard(ir, vis, straight).astype(int)
    orange = board[:, :, 0] > board[:, :, 2]  # [H, W]
    assert orange[20::40, 10::40][:3, :4].tolist() == [
        [False, False, False, True],
        [False, False, True, False],
        [False, False, False, True],
    ]
    assert orange[20, 62:80].all()
    assert not orange[20, 40:60].any()
    assert (board[~orange] == board[~orange][:, :1]).all()


def test_dark_images_are_shown_with_their_edges(straight):
    identity = Calibration(
        schema=1, homography=((1, 0, 0), (0, 1, 0), (0, 0, 1)), ir_size=SIZE, vis_size=SIZE
    )
    ir, vis = straight[0][0] // 16, to_grey(straight[0][1]) // 16
    board = checkerboard(ir, vis, identity)
    assert board[:, :, 0].std() > 2 * vis.std()


def test_the_report_says_how_exact_it_is(capsys):
    made = Made(by="irvis calibrate", model="similarity", pairs=8, used=6,
                residual_px=Residual(median=0.254, p95=1.5))  # fmt: skip
    rows = ((2, 0, 0.5), (0, 2, 0.5), (0, 0, 1))
    print_report(Calibration(schema=1, homography=rows, ir_size=HALF, vis_size=SIZE, made=made))
    lines = capsys.readouterr().out.splitlines()
    told = dict(line.strip("│┃|").split("│", 1) for line in lines if "│" in line[1:-1])
    assert {name.strip(): value.strip() for name, value in told.items()} == {
        "model": "similarity",
        "infrared": "160x128",
        "visible": "320x256",
        "infrared centre at": "x 159.5, y 127.5",
        "visible image covered": "100%",
        "pairs used": "6 of 8",
        "residual, median": "0.25 pixels",
        "residual, 95%": "1.50 pixels",
    }


def test_unrelated_pairs_are_refused(tmp_path):
    irs, viss = textures(np.eye(3), 3), textures(np.eye(3), 6)[3:]
    pairs = [(ir, vis) for (ir, _), (_, vis) in zip(irs, viss, strict=True)]
    with pytest.raises(DataError, match=r"\d of 3 pairs agree on an alignment, 3 must; give more"):
        calibrate(*save(tmp_path, pairs), on_progress=silent)


def test_one_unrelated_and_black_pairs_are_refused(tmp_path, straight):
    ir, vis = straight[0]
    wrong = [(np.rot90(ir, 2).copy(), vis)], [(ir, np.zeros_like(vis))]
    for number, pairs in enumerate(wrong):
        (tmp_path / str(number)).mkdir()
        with pytest.raises(DataError, match="0 of 1 pairs agree"):
            calibrate(*save(tmp_path / str(number), pairs), on_progress=silent)


def test_sizes_must_not_change_on_the_way(tmp_path, straight):
    ir, vis = straight[1]
    folders = save(tmp_path, [straight[0], (halved(ir), vis)])
    with pytest.raises(DataError, match="pair 01: infrared 160x128 and visible 320x256, the first"):
        calibrate(*folders, on_progress=silent)


def test_wrong_input(tmp_path, straight):
    ir, vis = save(tmp_path, straight[:1])
    with pytest.raises(DataError, match="no such file or folder"):
        calibrate(tmp_path / "none", vis, on_progress=silent)
    with pytest.raises(DataError, match="give two folders"):
        calibrate(ir, vis / "00.png", on_progress=silent)
    (vis / "00.png").rename(vis / "other.png")
    with pytest.raises(DataError, match="no infrared image has a visible partner"):
        calibrate(ir, vis, on_progress=silent)
    (ir / "other.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"other\.png: not an image"):
        calibrate(ir, vis, on_progress=silent)

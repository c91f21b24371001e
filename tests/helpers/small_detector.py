"""Where a test doesn't look at what is found: the detector of a training sees small images."""

from detection.detectors import yolov5

SIDE = 128  # pixels, of usually 640: a twentieth of the time


def see_little(monkeypatch):
    """Until ``monkeypatch`` is undone."""
    whole = yolov5.Config
    monkeypatch.setattr(
        yolov5, "Config", lambda **settings: whole(**settings | {"image_size": SIDE})
    )

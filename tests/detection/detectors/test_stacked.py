"""Networks of two stacked images."""

import torch

from detection import weights
from detection.detectors import yolov5

DEMO = weights.resolve("demo")


def test_two_stacked_images_begin_as_their_mean():
    torch.manual_seed(0)
    ir, vis = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64)
    one = yolov5.network_to_train(DEMO).eval()((ir + vis) / 2)[0]
    six = yolov5.network_to_train(DEMO, stacked=True).eval()(torch.cat((ir, vis), 1))[0]
    torch.testing.assert_close(one, six, rtol=1e-3, atol=1e-3)


def test_a_saved_network_of_six_channels_is_loaded_again(tmp_path):
    network = yolov5.network_to_train(DEMO, stacked=True)
    path = tmp_path / "six.safetensors"
    yolov5.save_network(path, network, model="yolov5n.yaml", names=network.names, metadata={})
    config = yolov5.Config(weights=str(path), image_size=64)
    detector = yolov5.build(config, device=torch.device("cpu"))
    assert detector.channels == 6
    assert len(detector(torch.zeros(2, 6, 48, 64, dtype=torch.uint8))) == 2

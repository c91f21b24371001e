"""The frames of one camera: a topic of a bag."""

import heapq
import logging
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np

from common.errors import DataError
from common.modality import Modality
from pipeline.frames import Frame, Image
from pipeline.sources._bag_file import BagFile, Message
from pipeline.sources._bag_image import ImageMessage, encoding_of, to_image
from pipeline.sources._plausibility import Plausibility
from pipeline.sources._stream import CHECK_EVERY, Lost, RecordingInfo
from pipeline.sources._timestamps import SECOND, typical_rate
from pipeline.sync.pairing import REORDER

log = logging.getLogger(__name__)
DEEP = ("mono16", "16UC1", "32FC1")
FIRST = 32  # messages that are read ahead to estimate the rate
Times = Literal["header", "log"]


class BagTopic:
    """A topic's images in the order of the bag; see ``pipeline.sources._stream.Stream``.

    Attributes:
        rate: Frames per second, by the times of the first messages.
        frames: Number of messages by the bag's index.
        info: First time, and the last one if all clocks ran alike.
        encoding: Of the first message; `compressed` for JPEG and PNG.
    """

    def __init__(
        self,
        path: Path,
        topic: str,
        modality: Modality,
        times: Times,
        *,
        convert: Callable[[Image], Image] | None = None,
        checks: Plausibility | None = None,
    ) -> None:
        """Open the bag and look at the topic's first messages.

        Args:
            path: The bag.
            topic: One of its topics with images.
            modality: Of the camera.
            times: Whether a frame's time is its `header.stamp` or when it was recorded.
            convert: Applied to every image, in order.
            checks: Receives some of the images.

        Raises:
            DataError: The bag can't be read, no message of the topic can, its encoding is unknown,
                or its times are unset.
        """
        self._name, self._modality, self._times = f"{path}: {topic}", modality, times
        self._topic, self._convert, self._checks = topic, convert, checks
        self._bag = BagFile(path)
        try:
            self.frames = self._bag.topics[topic].count
            whole = self._first()
            self.encoding = encoding_of(whole[0][1], self._name)
            if modality == "vis" and self.encoding in DEEP:
                raise DataError(
                    f"{self._name}: has over 8 bit ({self.encoding}), so it isn't the visible "
                    "camera; give the topics as source.ir and source.vis"
                )
            moments = [self._time(*message) for message in whole]
            self._check_times(moments)
        except BaseException:
            self.close()
            raise
        self.rate = typical_rate(sorted(moments)) or Fraction(25)
        span = self._span(moments[0], whole[0][0])
        self.info = RecordingInfo(0, span, bits=16 if self.encoding in DEEP else 8)

    def key(self, index: int) -> str:
        """The number of the message in its topic, `000012`."""
        return f"{index:06d}"

    def close(self) -> None:
        """Close the bag."""
        self._bag.close()

    def __iter__(self) -> Iterator[Frame | Lost]:
        """Frames in the order in which they were recorded.

        Raises:
            DataError: The times go back by more frames than are sorted.
        """
        lost, index = 0, -1
        latest: list[int] = []  # a heap of the latest times
        try:
            for index, message in enumerate(self._bag.messages(self._topic)):
                item = self._item(index, message)
                if isinstance(item, Frame) and item.timestamp_ns is not None:
                    self._check_order(latest, item.timestamp_ns, index)
                lost += isinstance(item, Lost)
                yield item
        except _BackwardsError:
            raise
        except DataError as error:
            log.warning("%s", error)
            yield Lost(None, str(error))
        else:
            if index + 1 < self.frames:
                reason = f"{self._name}: {index + 1} messages, where its index has {self.frames}"
                log.warning("%s", reason)
                yield Lost(None, reason)
        if lost:
            log.warning("%s: %d damaged frames are left out", self._name, lost)

    def _first(self) -> list[tuple[int, ImageMessage]]:
        """Log times and contents of the first messages that can be read, at least one.

        Raises:
            DataError: None can.
        """
        whole: list[tuple[int, ImageMessage]] = []
        reason = "no message in it"
        try:
            for message in islice(self._bag.messages(self._topic), FIRST):
                if message.content is None:
                    reason = message.reason
                else:
                    whole.append((message.log_ns, message.content))
        except DataError:
            if not whole:
                raise
        if not whole:
            raise DataError(f"{self._name}: {reason}")
        return whole

    def _item(self, index: int, message: Message) -> Frame | Lost:
        name = f"{self._name}, message {index}"
        if message.content is None:
            return Lost(index, f"{name}: {message.reason}")
        try:
            image = to_image(message.content, name)
        except DataError as error:
            return Lost(index, str(error))
        if self._checks is not None and index % CHECK_EVERY == 0 and image.dtype == np.uint8:
            self._checks.check(self._modality, image, self._name)
        if self._convert is not None:
            image = self._convert(image)
        if image.dtype != np.uint8:
            return Lost(index, f"{name}: visible images must have 8 bit; convert them")
        return Frame(image, self._time(message.log_ns, message.content), index)

    def _time(self, log_ns: int, content: ImageMessage) -> int:
        if self._times == "log":
            return log_ns
        stamp = content.header.stamp
        return int(stamp.sec) * SECOND + int(stamp.nanosec)

    def _check_times(self, moments: list[int]) -> None:
        if self._times == "header" and (
            moments[0] == 0 or (len(moments) > 1 and len(set(moments)) == 1)
        ):
            raise DataError(
                f"{self._name}: header.stamp is {moments[0] / SECOND:.3f} s in the first "
                f"{len(moments)} messages, so it was never set; give source.times=log for the "
                "times of the recording"
            )

    def _check_order(self, latest: list[int], time: int, index: int) -> None:
        """Refuse a frame that was overtaken by more others than the synchronizer sorts."""
        if len(latest) <= REORDER:
            heapq.heappush(latest, time)
            return
        if time < latest[0]:
            back = (latest[0] - time) / SECOND
            raise _BackwardsError(
                f"{self._name}, message {index}: its time goes back by {back:.3f} s or more, "
                f"behind over {REORDER} messages; give source.times=log, or cut the bag where its "
                "clock was set back"
            )
        heapq.heapreplace(latest, time)

    def _span(self, first_ns: int, log_ns: int) -> tuple[int, int]:
        """From the first frame to the bag's end on the clock of the frames."""
        end = self._bag.span_ns[1] if self._bag.span_ns else log_ns
        return first_ns, first_ns + max(0, end - log_ns)


class _BackwardsError(DataError):
    """The times go back."""

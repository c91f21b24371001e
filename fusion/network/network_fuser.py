"""The fuser made of a network on luminances."""

from torch import Tensor, nn

from fusion.color import check_range, fuse_luminance


class NetworkFuser(nn.Module):
    """Fuses infrared with the visible luminance by a network and keeps the visible chroma."""

    def __init__(self, network: nn.Module) -> None:
        """Wrap a network from ``ir`` and ``vis``, float [B, 1, H, W], to [B, 1, H, W]."""
        super().__init__()
        self.network = network

    def forward(self, *, ir: Tensor, vis: Tensor) -> Tensor:
        """Fuse a batch of pairs.

        Args:
            ir: float [B, 1, H, W] in [0, 1].
            vis: float [B, 3, H, W] in [0, 1], RGB, same device and dtype.

        Returns:
            float [B, 3, H, W] in [0, 1], RGB.

        Raises:
            ValueError: Values are NaN or outside [0, 1]. A network would spread one NaN over the
                image; the check takes far less than 1 % of the smallest network's time.
        """
        check_range("ir", ir)
        check_range("vis", vis)
        return fuse_luminance(self._luminance, ir=ir, vis=vis)

    def _luminance(self, *, ir: Tensor, vis: Tensor) -> Tensor:
        """Two luminances, float [B, 1, H, W], to float [B, 1, H, W] in [0, 1]."""
        fused: Tensor = self.network(ir=ir, vis=vis)
        return fused.clamp(0, 1)

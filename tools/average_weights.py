"""Average the weights of moments of one training: a compromise between them at no cost.

    python tools/average_weights.py OUT WEIGHT FILE [WEIGHT FILE...]

The moments are of one run, so that their weights lie close together (Wortsman et al., "Model
soups", ICML 2022). The metadata are the last file's, with the shares under `averaged`.
"""

import sys
from pathlib import Path

from common.checksums import sha256
from common.errors import WeightsError
from fusion.network import checkpoint
from training.networks import load_network


def main(out: Path, shares: dict[Path, float]) -> None:
    """Average and print the sha256 of the result.

    Args:
        out: The file to write, 16-bit safetensors.
        shares: Share of each file; together 1.

    Raises:
        errors.WeightsError: The shares don't add up to 1, or the networks differ.
    """
    if abs(sum(shares.values()) - 1) > 1e-9:
        raise WeightsError(f"the shares add up to {sum(shares.values())}, not to 1")
    stored = {path: checkpoint.read(path) for path in shares}
    *_, (last, described) = stored.items()
    network = load_network(str(last))
    for other in stored.values():
        checkpoint.match(network.state_dict(), other)
    average = {
        key: sum(share * stored[path].tensors[key].float() for path, share in shares.items())
        for key in network.state_dict()
    }
    network.load_state_dict(average)
    own = ("network", "architecture")
    metadata = {key: text for key, text in described.metadata.items() if key not in own}
    metadata["averaged"] = ", ".join(f"{share} {path.name}" for path, share in shares.items())
    checkpoint.save(out, network, half=True, metadata=metadata)
    print(f"{out}: sha256 {sha256(out)}")


if __name__ == "__main__":
    given = sys.argv[2:]
    pairs = zip(given[::2], given[1::2], strict=True)
    main(Path(sys.argv[1]), {Path(path): float(share) for share, path in pairs})

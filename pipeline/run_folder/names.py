"""Names of the files and folders of a run folder. Imports nothing, so that `config` can use it."""

PARTIAL_SUFFIX = ".partial"  # of the folder's name until the run is complete

CONFIG = "config.yaml"
RESULTS = "results.json"
RESULTS_TABLE = "results.csv"  # a row per arm and class
GROUND_TRUTH = "ground_truth.json"
PREDICTIONS = "predictions"  # folder of <arm>.json
MASKS = "masks"  # folder of <arm>/<key>.png
LEDGER = "ledger.csv"
TIMING = "timing.json"
MISALIGNMENT = "pairs.csv"  # a row per pair
CURVES = "curves.json"
QUALITY = "quality.csv"  # a row per arm and pair

# Of sinks.
REPORT = "report.html"
GALLERY = "gallery"  # folder of the report's images
VIDEO = "video"  # folder of <sink>.mp4
TRACKER_LOG = "detections.jsonl"  # in the folder of a sink of kind mot, removed at the end

# Only in a partial folder.
PAIR_LOG = "frames.jsonl"  # what the evaluation scores, a line per pair
PROGRESS = "progress.log"  # numbers of pairs that all sinks have written
LOCK = "lock"
INPUTS = "inputs.json"  # hashes of weights and calibration
SAID = "said.json"  # what the source warned of
WORKERS = "workers.json"  # what a run with several workers has of them

PAIRS = "pairs"  # folder of the pictures of `irvis show`
SWEEP = "sweep.csv"  # in the folder of a sweep, beside its runs
ABLATION = "ablation.json"  # in the folder of an ablation, beside its trainings
ABLATION_TABLE = "ablation.csv"  # a row per arm and statistic


def ground_truth_file(camera: str | None) -> str:
    """The name of the file of a camera's own labels; for None, of the pair's."""
    return GROUND_TRUTH if camera is None else f"ground_truth_{camera}.json"


def predictions_file(arm: str) -> str:
    """The path in a run folder of an arm's predictions."""
    return f"{PREDICTIONS}/{arm}.json"


def detections_file(arm: str) -> str:
    """The path in a partial folder of the log of an arm's detections."""
    return f"{PREDICTIONS}/{arm}.log"

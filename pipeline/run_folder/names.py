"""Names of the files of a run folder, besides those in ``folder`` and ``results_file``."""

LEDGER = "ledger.csv"
TIMING = "timing.json"
GROUND_TRUTH = "ground_truth.json"
PREDICTIONS = "predictions"  # folder of <arm>.json
CURVES = "curves.json"
PAGE = "report.html"
GALLERY = "gallery"  # folder of the page's images
SWEEP = "sweep.csv"  # in the folder of a sweep

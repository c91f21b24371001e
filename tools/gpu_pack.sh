#!/usr/bin/env bash
# Packs the inputs of tools/gpu.sh for a machine with a GPU and no network:
#
#     tools/gpu_pack.sh [CONFIG] [key=value ...]
#
# CONFIG is a training configuration, configs/train_irvis.yaml by default; set the detector's
# weights with detectors.yolov5s.weights=FILE if they are in no weights folder. The result is the
# folder runs/gpu-pack, which git ignores and which must be copied with the checkout's files: images
# and weights (see tools/gpu_pack.py), and wheels of packages that such a machine lacks.
#
#     IRVIS_GPU_PACK     the folder, default runs/gpu-pack
#     IRVIS_GPU_QUALITY  quality of the training pairs' WebP, default 80
#     IRVIS_GPU_PYTHON   Python version of the machine, default 3.12; none: no wheels
#     IRVIS_GPU_LIMIT    largest size of folder and checkout, MiB, default 64; exit code 1 above
set -euo pipefail
cd "$(dirname "$0")/.."
pack=${IRVIS_GPU_PACK:-runs/gpu-pack}
python=${PYTHON:-.venv/bin/python}
there=${IRVIS_GPU_PYTHON:-3.12}
limit=${IRVIS_GPU_LIMIT:-64}
config=configs/train_irvis.yaml
if [[ $# -gt 0 && $1 != *=* ]]; then
    config=$1
    shift
fi
export PYTHONPATH=$PWD

"$python" tools/gpu_pack.py "$config" "$pack" "${IRVIS_GPU_QUALITY:-80}" "$@"

if [[ $there != none ]]; then
    for name in annotated-types faster-coco-eval pydantic pydantic-core typing-extensions \
        typing-inspection ultralytics; do
        version=$("$python" -c "from importlib.metadata import version; print(version('$name'))")
        wanted+=("$name==$version")
    done
    for glibc in manylinux_2_28 manylinux_2_27 manylinux_2_17 manylinux2014; do
        platforms+=(--platform "${glibc}_x86_64")
    done
    "$python" -m pip download --quiet --no-deps --only-binary=:all: --implementation cp \
        --python-version "$there" "${platforms[@]}" --dest "$pack/wheels" "${wanted[@]}"
fi

du -sk "$pack"/*
packed=$(find "$pack" -type f -printf '%s\n' | awk '{n += $1} END {print n}')
tree=$(git ls-files -coz --exclude-standard | xargs -0 stat --format=%s | awk '{n += $1} END {print n}')
awk -v a="$packed" -v b="$tree" -v limit="$limit" 'BEGIN {
    sum = (a + b) / 2^20
    printf "%.1f MiB packed and %.1f MiB of the checkout: %.1f of %d MiB\n", a / 2^20, b / 2^20, sum, limit
    exit sum > limit
}' || {
    echo "too large: empty files that the training does not read, e.g. : > fusion/weights/tiny.safetensors" >&2
    echo "(git checkout restores them), leave out sources, or lower IRVIS_GPU_QUALITY" >&2
    exit 1
}

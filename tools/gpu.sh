#!/usr/bin/env bash
# Runs tests, benchmarks and training on a machine with a GPU, without network:
#
#     tools/gpu.sh [tests] [speed] [train] [finetune] [key=value ...]
#
# It needs the checkout's files and the folder made by tools/gpu_pack.sh; see docs/training.md.
# Without named steps the first three run; a failed step does not stop the next.
#
#     tests  the tests that need a GPU, one file at a time      at most a fifth of the time
#     speed  fusers, scan, detector, pipeline; on GPU and CPU   at most a third
#     train  as many steps as fit                               the rest
#     finetune  the detector on each arm's images, 3 seeds      the rest
#
# key=value overrides the packed configuration and RECIPE below, with finetune configs/finetune.yaml. If Triton's scan fails its tests,
# training uses the slower reference, and the log says so.
#
#     IRVIS_GPU_SECONDS  total time, default 520
#     IRVIS_GPU_PACK     the packed folder, default runs/gpu-pack
#     OUT                folder of logs and weights, default runs/gpu-out: at most eight files
set -uo pipefail
cd "$(dirname "$0")/.."
budget=${IRVIS_GPU_SECONDS:-520}
pack=${IRVIS_GPU_PACK:-runs/gpu-pack}
out=${OUT:-runs/gpu-out}
python=${PYTHON:-python3}
RECIPE=(compute.batch=64 schedule.learning_rate=0.0012 schedule.ema=0.99 schedule.warmup=100)
SCAN=tests/fusion/scan/test_triton.py
# whether packages are installed; to import them takes seconds
THERE='import sys, importlib.util as util; sys.exit(None in map(util.find_spec, sys.argv[1:]))'

steps=()
overrides=()
for word in "$@"; do
    case $word in
        tests | speed | train | finetune) steps+=("$word") ;;
        *=*) overrides+=("$word") ;;
        *) echo "tools/gpu.sh: $word is neither tests, speed, train, finetune nor key=value" >&2
            exit 2 ;;
    esac
done
[[ ${#steps[@]} -gt 0 ]] || steps=(tests speed train)
mkdir -p "$out"
export PYTHONPATH=$PWD PYTHONUNBUFFERED=1
if ! "$python" - pydantic ultralytics <<< "$THERE"; then
    site=$(mktemp -d)
    "$python" -m pip install --quiet --no-index --no-deps --no-compile --target "$site" \
        "$pack"/wheels/*.whl || exit 1
    export PYTHONPATH=$PWD:$site
fi
export YOLO_CONFIG_DIR=${YOLO_CONFIG_DIR:-$(mktemp -d)}

# run NAME SECONDS COMMAND...: its output goes to NAME.log
run() {
    local log=$out/$1.log limit=$(($2 > 1 ? $2 : 1)) code=0
    shift 2
    echo "\$ $*" >> "$log"
    timeout --kill-after=10 "$limit" "$@" >> "$log" 2>&1 || code=$?
    [[ $code != 124 && $code != 137 ]] || echo "stopped after $limit s" >> "$log"
    return "$code"
}

irvis() {
    run "$1" "$2" "$python" -c 'import sys; from pipeline.cli import main; sys.exit(main())' "${@:3}"
}

left() { echo $((budget - SECONDS)); }

# whether Triton's scan passes its tests; run once
triton_works() {
    [[ -n ${triton:-} ]] || { run tests $((budget / 5)) "$python" -m pytest -q -m gpu "$SCAN"; triton=$?; }
    [[ $triton == 0 ]]
}

step_tests() {
    local until=$((SECONDS + budget / 5)) failed=0 file
    triton_works || failed=1
    for file in $(grep -rlE --include='*.py' 'mark\.gpu' tests | grep -v "^$SCAN$" | sort); do
        [[ $SECONDS -lt $until ]] || break
        if grep -q '^import av$' "$file" && ! "$python" - av <<< "$THERE"; then
            echo "skipped $file: it needs PyAV" >> "$out/tests.log"
            continue
        fi
        run tests $((until - SECONDS)) "$python" -m pytest -q -m gpu "$file" || failed=1
    done
    grep -E '^(\$|FAILED|ERROR|skipped|[0-9]+ (passed|failed|skipped|error))|stopped after' "$out/tests.log"
    return "$failed"
}

# speeds SECONDS FRAMES [--quick]: one size at a time, because the table is printed at the end
speeds() {
    local until=$((SECONDS + $1)) failed=0 size
    run speed "$(($1 / 4))" "$python" benchmarks/detector.py || failed=1
    run speed "$(($1 / 4))" "$python" benchmarks/scan.py --backends || failed=1
    run speed "$(($1 / 4))" "$python" benchmarks/pipeline_overlap.py --frames "$2" || failed=1
    for size in tiny small base; do
        irvis speed $((until - SECONDS)) bench --size "$size" "${@:3}" || failed=1
    done
    return "$failed"
}

step_speed() {
    local failed=0
    speeds $((budget / 6)) 120 || failed=1
    CUDA_VISIBLE_DEVICES='' speeds $((budget / 6)) 24 --quick || failed=1
    cat "$out/speed.log"
    return "$failed"
}

step_train() {
    local scan=()
    if ! triton_works; then
        scan=(--scan reference)
        echo "Triton's scan failed its tests: training with the reference" | tee -a "$out/train.log"
    fi
    run train "$(left)" "$python" tools/gpu_train.py "$pack/config.yaml" "$out" \
        $(($(date +%s) + $(left) - 15)) "${scan[@]}" "${RECIPE[@]}" "${overrides[@]}"
    local code=$?
    tail -n 25 "$out/train.log"
    [[ ! -f $out/scores.csv ]] || cat "$out/scores.csv"
    return "$code"
}

# on the labelled ones of the packed pairs, scored on the packed dev set
step_finetune() {
    local work source folder=() code=0
    work=$(mktemp -d)
    for source in roadscene flir; do
        for part in ir vis labels; do
            folder+=("data.sources.$source.$part=$pack/sources/$source/$part")
        done
        folder+=("data.sources.$source.exclude_last=0" "data.sources.$source.stems_are_ids=true")
    done
    irvis finetune "$(left)" finetune configs/finetune.yaml "run.dir=$work/finetune" \
        "data.cache=$work/cache" "data.held_out={}" "source.root=$pack/sets/dev" \
        "detector.weights=$pack/weights/yolov5s.pt" schedule.save_every=1000 \
        "${folder[@]}" "${overrides[@]}" || code=$?
    tail -n 40 "$out/finetune.log"
    cp "$work"/finetune/finetune.{json,csv} "$out" 2> /dev/null
    return "$code"
}

result=0
for step in "${steps[@]}"; do
    echo "== $step, $(left) s left"
    "step_$step" || { echo "== $step failed"; result=1; }
done
ls -l "$out"
exit "$result"

#!/bin/sh
# Measures what INT8 costs and brings, for docs/quantization.md.
#
#   bench/quantize.sh accuracy MODEL.onnx [DATA] [FLAGS...]
#       mIoU of a model of CamVid's classes in every form on six domains, calibrated on CamVid by
#       day; FLAGS go to 'robustnet-quantize run', such as --naive or --calibrate-styles
#   bench/quantize.sh latency [DATA]
#       time of a frame in float32 and in INT8 for both heads at two sizes, in turns, one thread
#
# DATA is the folder of data sets that bench/datasets/README.md describes, ../shared/data beside
# the repository by default. Files go to build/bench/quantize.
set -eu
repository=$(cd "$(dirname "$0")/.." && pwd)
fail() { echo "bench: $*" >&2; exit 1; }

what=${1:-}
case $what in
accuracy)
	[ $# -ge 2 ] || fail "name a model: bench/quantize.sh accuracy MODEL.onnx"
	model=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
	shift 2 ;;
latency) shift ;;
*) fail "measure what? bench/quantize.sh accuracy MODEL.onnx, or bench/quantize.sh latency" ;;
esac
data=$repository/../shared/data
if [ $# -ge 1 ] && [ "${1#--}" = "$1" ]; then
	data=$1
	shift
fi
[ -d "$data" ] || fail "the folder $data of data sets is missing; bench/datasets/README.md says how to make one"
data=$(cd "$data" && pwd)
cd "$repository"
[ -x build/robustnet-quantize ] || fail "build the programs first: make build"
export ROBUSTNET_MODEL_LIBRARY="${ROBUSTNET_MODEL_LIBRARY:-$repository/build/lib/libonnxruntime.so.1}"
out=build/bench/quantize
mkdir -p "$out"

if [ "$what" = accuracy ]; then
	india=unseen_test
	[ ! -d "$data/idd_lite/leftImg8bit" ] || india=val
	exec build/robustnet-quantize run --model "$model" --calibrate "camvid=$data/camvid:day_train" --out "$out/$(basename "$model" .onnx)" \
		--eval "day_val=camvid=$data/camvid:day_val" --eval "new_route=camvid=$data/camvid:day_test_newroute" \
		--eval "dusk=camvid=$data/camvid:dusk_target" --eval "idd_lite=idd=$data/idd_lite:$india" \
		--eval "bdd100k=bdd100k=$data/bdd100k_sample" --eval "facades=folder=bench/datasets/labelmefacade.yaml@$data/labelmefacade" "$@"
fi

# The weights do not matter to the time.
for head in paper lite; do
	run=$out/$head
	[ -e "$run/config.yaml" ] || build/robustnet-train import "$data/weights/mobilenetv2_1.0_tvkeys.pth" --pretrained --classes camvid --method isw --head $head --out "$run"
	for size in 360x480 512x1024; do
		model=$out/$head-$size.onnx
		build/robustnet-train export --run "$run" --size $size --source none --out "$model"
		build/robustnet-quantize run --model "$model" --calibrate scenes=day:0-3 --eval scenes=day:100-100 --max-drop 100 --runs 0 --out "$out/$head-$size"
	done
done
for size in 360x480 512x1024; do
	for head in paper lite; do
		build/robustnet-quantize bench "$out/$head-$size.onnx" "$out/$head-$size/$head-$size.cpu-int8.onnx" --threads 1 --runs 20
	done
done

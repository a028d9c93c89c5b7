#!/bin/sh
# Measures what docs/measurements.md states. Needs a quiet machine: anything else that runs
# shows in the figures. MODEL names a second model file to measure besides the embedded one.
set -eu
cd "$(dirname "$0")/.."

export PKG_CONFIG_PATH="$PWD/packaging/pkgconfig:${PKG_CONFIG_PATH:-}"
out=build/bench
model=${MODEL:-../shared/models/camvid_mobilenetv2_isw_reference.onnx}
mkdir -p "$out"

# The clips are drawn by the program itself: streets as raw pictures, compressed.
clip() { # rate, frames
	file=$out/street-$1fps.mp4
	[ -e "$file" ] || build/robustnet-edge --camera "synthetic:?size=1280x720&fps=$1&pace=0&frames=$2" --visualize raw \
		--bitrate 8000 --rtsp off --http off --output "$file" --log-level warn 2>"$out/clip.log"
}
clip 30 300
clip 5 60
go build -o "$out/pipeline" ./bench/pipeline

printf 'processor   %s, %s cores\n' "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)"
measure() { "$out/pipeline" "$@" 2>>"$out/native.log"; }
measure --measure throughput --clip "$out/street-30fps.mp4" --frames 300
measure --measure latency --clip "$out/street-30fps.mp4" --frames 900
measure --measure allocations --clip "$out/street-30fps.mp4" --frames 500
measure --measure memory --clip "$out/street-30fps.mp4" --frames 2000
if [ -e "$model" ]; then
	measure --measure throughput --clip "$out/street-30fps.mp4" --frames 60 --model "$model"
	measure --measure latency --clip "$out/street-5fps.mp4" --frames 150 --model "$model"
	measure --measure latency --clip "$out/street-30fps.mp4" --frames 200 --model "$model"
else
	echo "no second model: $model is absent; name one with MODEL="
fi
go test -run '^$' -bench . ./scene ./camera ./camera/file ./edge/overlay ./edge/stream ./trt/ort 2>>"$out/native.log" | grep -E '^(pkg|Benchmark)'

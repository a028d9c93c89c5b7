#!/bin/sh
# Measures what docs/measurements.md states, and compares it with the project's targets.
# Needs a quiet machine: anything else that runs shows in the figures. MODEL names a second
# model file to measure besides the embedded one.
#
#   bench/run.sh [--gate]
#
# Exit codes: 0 measured, 1 something could not be measured, 3 a target is missed (--gate).
set -eu
cd "$(dirname "$0")/.."

export PKG_CONFIG_PATH="$PWD/packaging/pkgconfig:${PKG_CONFIG_PATH:-}"
out=build/bench
log=$out/log.txt
model=${MODEL:-../shared/models/camvid_mobilenetv2_isw_reference.onnx}
missed=0
case $*:$# in
"":0) gate=false ;;
--gate:1) gate=true ;;
*) echo "bench: want no argument, or --gate" >&2; exit 1 ;;
esac
mkdir -p "$out"
: >"$log"

fail() {
	echo "bench: $1 failed; the end of $log:" >&2
	tail -n 20 "$log" >&2
	exit 1
}

# The clips are drawn by the program itself: streets as raw pictures, compressed.
clip() { # rate, frames
	file=$out/street-$1fps-$2.mp4
	[ ! -e "$file" ] || return 0
	build/robustnet-edge --camera "synthetic:?size=1280x720&fps=$1&pace=0&frames=$2" --visualize raw \
		--bitrate 8000 --rtsp off --http off --output "$file" --log-level warn >>"$log" 2>&1 || fail "making $file"
}

measure() {
	status=0
	"$out/pipeline" --gate="$gate" "$@" 2>>"$log" || status=$?
	case $status in
	0) ;;
	3) missed=3 ;;
	*) fail "pipeline $*" ;;
	esac
}

clip 30 1000
clip 5 150
go build -o "$out/pipeline" ./bench/pipeline

printf 'processor   %s, %s cores\n' "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)"
street=$out/street-30fps-1000.mp4
long=$out/street-30fps-3000.mp4
[ -e "$long" ] || {
	ffmpeg -v error -y -stream_loop 2 -i "$street" -c copy "$long.part.mp4" >>"$log" 2>&1 || fail "making $long"
	mv "$long.part.mp4" "$long"
}
measure --measure throughput --clip "$street" --frames 200
measure --measure latency --clip "$street" --frames 900
measure --measure allocations --clip "$street" --frames 500
measure --measure memory --clip "$long" --frames 2000
if [ -e "$model" ]; then
	measure --measure throughput --clip "$street" --frames 60 --model "$model"
	measure --measure latency --clip "$out/street-5fps-150.mp4" --frames 150 --model "$model"
	measure --measure latency --clip "$street" --frames 200 --model "$model"
else
	echo "no second model: $model is absent; name one with MODEL="
fi
go test -run '^$' -bench . ./scene ./camera ./camera/file ./edge/overlay ./edge/stream ./trt/ort >"$out/go.txt" 2>>"$log" || {
	cat "$out/go.txt" >>"$log"
	fail "go test -bench"
}
grep -E '^(pkg|Benchmark)' "$out/go.txt"
exit "$missed"

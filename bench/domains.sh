#!/bin/sh
# Trains methods with the same budget and seeds on CamVid by day, evaluates them on domains
# that they never saw, and writes docs/results.md.
#
#   bench/domains.sh [DATA]
#
# DATA is the folder of data sets, ../shared/data by default. Figures of a method and seed that
# are in bench/results/domains are not measured again: delete a file there to do so. What was
# interrupted goes on where it stopped.
#
#   METHODS  methods, with +extra for --method-extra     base ibn iw irw isw
#   SEEDS    seeds                                       1 2
#   THREADS  CPU threads of a training                   all
#   DEVICE   cpu or cuda                                 cpu
set -eu
cd "$(dirname "$0")/.."
data=${1:-../shared/data}
backbone=$data/weights/mobilenetv2_1.0_tvkeys.pth
results=bench/results/domains
runs=build/bench/domains
train=build/robustnet-train
options="--threads ${THREADS:-0} --device ${DEVICE:-cpu}"
export ROBUSTNET_TORCH_LIBRARY="${ROBUSTNET_TORCH_LIBRARY:-$PWD/build/lib/librobustnet-torch.so}"

[ -e "$backbone" ] || { echo "bench: $backbone is missing; name the folder of data sets" >&2; exit 1; }
[ -x "$train" ] || { echo "bench: build the programs first: make build" >&2; exit 1; }
mkdir -p "$results" "$runs"

# One method and seed: train, unless that is done, and evaluate.
measure() { # method, extras, seed, name
	run=$runs/$4
	if [ -e "$run/config.yaml" ]; then
		"$train" fit --resume "$run" $options
	else
		"$train" fit --train "camvid=$data/camvid:day_train" --val "camvid=$data/camvid:day_val" \
			--val "camvid=$data/camvid:dusk_target" --pretrained "$backbone" --preset small \
			--method "$1" ${2:+--method-extra "$2"} --seed "$3" --out "$run" $options
	fi
	"$train" eval --model "$run" $options --csv "$run/domains.csv" \
		--on "day_val=camvid=$data/camvid:day_val" --on "new_route=camvid=$data/camvid:day_test_newroute" \
		--on "dusk=camvid=$data/camvid:dusk_target" --on "idd_lite=idd=$data/idd_lite:unseen_test" \
		--on "bdd100k=bdd100k=$data/bdd100k_sample"
	"$train" eval --model "$run" $options --csv "$run/facades.csv" --max-width 1024 \
		--on "facades=folder=bench/datasets/labelmefacade.yaml@$data/labelmefacade"
	{ cat "$run/domains.csv"; tail -n +2 "$run/facades.csv"; } >"$results/$4.csv.part"
	mv "$results/$4.csv.part" "$results/$4.csv"
}

for seed in ${SEEDS:-1 2}; do
	for entry in ${METHODS:-base ibn iw irw isw}; do
		method=${entry%%+*}
		extras=${entry#"$method"}
		extras=$(echo "${extras#+}" | tr + ,)
		[ -e "$results/$entry-$seed.csv" ] || measure "$method" "$extras" "$seed" "$entry-$seed"
	done
done
go run ./bench/domains "$results" >docs/results.md.part
mv docs/results.md.part docs/results.md
echo "wrote docs/results.md"

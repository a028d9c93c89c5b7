#!/bin/sh
# Trains methods with the same budget and seeds on CamVid by day, evaluates them on domains
# that they never saw, and writes docs/results.md.
#
#   bench/domains.sh [DATA]
#
# DATA is the folder of data sets that bench/datasets/README.md describes, ../shared/data beside
# the repository by default. Figures of a method and seed that are in bench/results/domains are
# not measured again: delete a file there to do so. What was interrupted goes on where it
# stopped.
#
#   METHODS  methods; +pasta, +consistency and +mixstyle for --method-extra; +adabn and +fda adapt
#            to dusk                               base ibn iw irw isw, and isw with each addition
#   SEEDS    seeds                                 1 2
#   JOBS     trainings at a time                   1
#   THREADS  CPU threads of each                   all; 1 with several JOBS
#   DEVICE   cpu or cuda                           cpu
#   BACKBONE ImageNet weights, torchvision's keys  DATA/weights/mobilenetv2_1.0_tvkeys.pth
#
# JOBS as many as there are cores is a tenth faster than one training on all of them.
set -eu
repository=$(cd "$(dirname "$0")/.." && pwd)

fail() { echo "bench: $*" >&2; exit 255; } # which makes xargs stop

# Trains, unless that is done.
train() { # run, method, other flags...
	trained=$1 by=$2
	shift 2
	if [ -e "$trained/config.yaml" ]; then
		"$program" fit --resume "$trained" $computing
	else
		"$program" fit --train "camvid=$data/camvid:day_train" --val "camvid=$data/camvid:day_val" --validate-every 0 \
			--pretrained "$backbone" --preset small --method "$by" --seed "$seed" --out "$trained" $computing "$@"
	fi || fail "training $trained failed"
	grep -q '"state": "done"' "$trained/status.json" || fail "training $trained was interrupted; start again to go on"
}

# Measures one method and seed.
measure() { # method with additions, seed
	name=$1-$2 seed=$2 run=$runs/$1-$2 method=${1%%+*}
	case $1 in
	*+adabn)
		plain=$runs/${1%+adabn}-$seed
		train "$plain" "$method"
		rm -rf "$run"
		"$program" adapt --run "$plain" --images "camvid=$data/camvid:dusk_target" --out "$run" $computing || fail "adapting $plain failed" ;;
	*+fda) train "$run" "$method" --fda "camvid=$data/camvid:dusk_target" ;;
	*+*) train "$run" "$method" --method-extra "$(echo "${1#*+}" | tr + ,)" ;;
	*) train "$run" "$method" ;;
	esac
	part=$results/$name.csv.part
	"$program" eval --model "$run" $computing --csv "$part.facades" --max-width 1024 \
		--on "facades=folder=bench/datasets/labelmefacade.yaml@$data/labelmefacade" || fail "evaluating $run failed"
	"$program" eval --model "$run" $computing --csv "$part" \
		--on "day_val=camvid=$data/camvid:day_val" --on "new_route=camvid=$data/camvid:day_test_newroute" \
		--on "dusk=camvid=$data/camvid:dusk_target" --on "idd_lite=idd=$data/idd_lite:$india" \
		--on "bdd100k=bdd100k=$data/bdd100k_sample" || fail "evaluating $run failed"
	tail -n +2 "$part.facades" >>"$part"
	rm "$part.facades"
	[ "$(grep -c ,miou, "$part")" = 6 ] || fail "evaluating $run was interrupted; start again to repeat it"
	mv "$part" "$results/$name.csv"
}

if [ "${1:-}" = --measure ]; then # called below
	cd "$repository"
	measure "$2" "$3"
	exit
fi

data=${1:-$repository/../shared/data}
[ -d "$data" ] || fail "the folder $data of data sets is missing; bench/datasets/README.md says how to make one"
data=$(cd "$data" && pwd)
india=unseen_test # where the official val set is one folder of pictures
[ ! -d "$data/idd_lite/leftImg8bit" ] || india=val
cd "$repository"
backbone=${BACKBONE:-$data/weights/mobilenetv2_1.0_tvkeys.pth}
[ -e "$backbone" ] || fail "$backbone is missing; bench/datasets/README.md says where it comes from"
program=build/robustnet-train
[ -x "$program" ] || fail "build the programs first: make build"
jobs=${JOBS:-1}
threads=0 # all
[ "$jobs" = 1 ] || threads=1
computing="--threads ${THREADS:-$threads} --device ${DEVICE:-cpu}"
results=bench/results/domains
runs=build/bench/domains
mkdir -p "$results" "$runs"
export data india backbone program computing results runs
export ROBUSTNET_TORCH_LIBRARY="${ROBUSTNET_TORCH_LIBRARY:-$repository/build/lib/librobustnet-torch.so}"

# Adapted runs come last: theirs are trained by then.
entries=$(for seed in ${SEEDS:-1 2}; do
	for entry in ${METHODS:-base ibn iw irw isw isw+pasta isw+consistency isw+mixstyle isw+fda base+adabn isw+adabn}; do
		[ -e "$results/$entry-$seed.csv" ] || echo "$entry $seed"
	done
done)
echo "$entries" | grep -v +adabn | xargs -r -n 2 -P "$jobs" "$repository/bench/domains.sh" --measure
echo "$entries" | grep +adabn | xargs -r -n 2 -P "$jobs" "$repository/bench/domains.sh" --measure
go run ./bench/domains "$results" >docs/results.md.part
mv docs/results.md.part docs/results.md
echo "wrote docs/results.md"

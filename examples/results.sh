#!/usr/bin/env bash
# The comparisons behind the results in README: `bash examples/results.sh DATA OUT`. DATA holds a folder for each data
# set with train.jsonl and test.jsonl (id, text, label); OUT gets a comparison for each. About 10 minutes of one core
# for the smallest and 25 to 40 for the others; the same command goes on where it was interrupted.
set -euo pipefail
data=$1 out=$2

compare() { # NAME TASK LABELS-A-ROUND
    dal-nlp compare --task "$2" --data "$data/$1/train.jsonl" --test "$data/$1/test.jsonl" --train head \
        --strategies margin,entropy,badge,coreset,typiclust,bald,ceal,weighted_kmeans --seeds 10 --jobs 1 \
        --initial 20 --query-size "$3" --rounds 10 --out "$out/$1"
}

compare uci_sentiment_sentences sentiment 20
compare mr sentiment 60
compare trec6 classification 60
compare ag_news classification 20
compare tweeteval_sentiment sentiment 60

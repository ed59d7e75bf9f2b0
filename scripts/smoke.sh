#!/usr/bin/env bash
# A short run of the command on every device present: train, evaluate, predict.
set -euo pipefail
apus=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

printf '5.1,3.5,1.4,0.2\n6.7,3.1,5.6,2.4\n' > "$work/flowers.csv"
for device in reference cpu opencl; do
  epochs=40
  [ "$device" = reference ] && epochs=5
  "$apus" train --data iris --model mlp-small --device "$device" --epochs "$epochs" \
    --batch-size 16 --learning-rate 1e-2 --optimizer adam --seed 1 \
    --output "$work/$device.safetensors" --log "$work/$device.jsonl" --quiet
  grep -q '"event":"result"' "$work/$device.jsonl"
  "$apus" evaluate --model "$work/$device.safetensors" --data iris --device "$device" --json \
    | grep -q '"confusionMatrix"'
  "$apus" predict --model "$work/$device.safetensors" --input "$work/flowers.csv" --no-header \
    --device "$device" --output "$work/$device.csv"
  [ "$(wc -l < "$work/$device.csv")" -eq 3 ]
  echo "smoke: $device passed"
done
for device in cpu opencl; do
  "$apus" train --data digits --model lenet --device "$device" --epochs 1 --augment crop:1 \
    --checkpoint-dir "$work/$device" --output "$work/lenet.safetensors" --quiet
  "$apus" evaluate --model "$work/lenet.safetensors" --data digits --device "$device" > /dev/null
  echo "smoke: convolutions on $device passed"
done
"$apus" devices --json > /dev/null
"$apus" summary --model mlp > /dev/null
if "$apus" train --data iris --model mlp --device quantum --output "$work/x" 2> "$work/error"; then
  echo "smoke: an unknown device was accepted" >&2
  exit 1
fi
grep -q quantum "$work/error"
echo "smoke: clean"

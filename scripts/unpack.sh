#!/bin/sh
# unpack.sh FROM TO: the four MNIST files of a folder, compressed or not, as plain files in another.
set -eu
from=$1
to=$2
if [ -z "$from" ]; then
    echo "name a folder with the four MNIST files: make example DATA=FOLDER" >&2
    exit 1
fi
mkdir -p "$to"
for name in train-images-idx3-ubyte train-labels-idx1-ubyte t10k-images-idx3-ubyte t10k-labels-idx1-ubyte; do
    if [ -f "$from/$name" ]; then
        cp "$from/$name" "$to/$name"
    elif [ -f "$from/$name.gz" ]; then
        gunzip -c "$from/$name.gz" >"$to/$name"
    else
        echo "neither $name nor $name.gz is in $from" >&2
        exit 1
    fi
done

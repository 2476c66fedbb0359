#!/bin/sh
# ctest.sh NAME PROGRAM...: run the programs one after another; the output of one that fails is shown.  RUNNER, an emulator,
# starts them, and TEST_ARGS are their arguments.
name=$1
shift
passed=0
failed=0
for program in "$@"; do
    # shellcheck disable=SC2086 # both are lists of words
    if $RUNNER "$program" $TEST_ARGS >"$program.log" 2>&1; then
        passed=$((passed + 1))
        echo "ok    $(basename "$program")  $(tail -n 1 "$program.log")"
    else
        status=$?
        failed=$((failed + 1))
        echo "FAIL  $(basename "$program") (status $status):"
        cat "$program.log"
    fi
done
echo "C tests, $name: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]

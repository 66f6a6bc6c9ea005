#!/bin/sh
# The model links without libsystemd: no-libsystemd.sh PROGRAM ARCHIVE NM. The program is linked with the model and what is below it, nothing else.
set -eu

needed=$(ldd "$1")
case $needed in
*libjson-c*) ;;
*) echo "$1 does not look like a program that uses the model:"; echo "$needed"; exit 1 ;;
esac
case $needed in
*libsystemd* | *libelogind*) echo "$1 needs libsystemd:"; echo "$needed"; exit 1 ;;
esac

"$3" "$2" | grep -q ' T run_decide$' || { echo "$2 is not the model"; exit 1; }
if "$3" -u "$2" | grep ' U sd_'; then
        echo "$2 calls libsystemd"
        exit 1
fi
echo ok

#!/bin/sh
# What sshd runs in the place of any command: that command, with the worker's environment.
# shellcheck source=/dev/null # written by start.sh
. /tmp/headrace/environment
cd "$PWD" || exit
exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"

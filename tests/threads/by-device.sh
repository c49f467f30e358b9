#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# The tests of threads whose wake-ups go through the kernel module's device.

# shellcheck source=tests/harness/by-device.sh
. "$(dirname "$0")/../harness/by-device.sh"
all_by_device waits threads/{callback,channel,deadlock,ends,last-words,ordering,pool,pool-deadlock,pool-end,pool-faults,pool-storm,report,select,storm,tasks,traps}

#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#
# The tests of the lock, handed over by the kernel module's device.

# shellcheck source=tests/harness/by-device.sh
. "$(dirname "$0")/../harness/by-device.sh"
all_by_device swaps gil/{atomic,below,exclusion,handoff,tasklets}

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include "explore.h"
const struct explore_scenario explore_sync[] = { { 0 } };

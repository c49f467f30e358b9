/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What is needed to write JSON.
 *
 * Owns the escaping of strings. The invariant: whatever the bytes, what is
 * written is one valid JSON string in valid UTF-8.
 */
#ifndef TL_BASE_JSON_H
#define TL_BASE_JSON_H

#include <stdio.h>

/*
 * Writes s in quotes. Bytes that are not UTF-8 become U+FFFD each. Errors are
 * left in the stream's error flag. No locks but the stream's own.
 */
void tl__json_write_str(FILE *f, const char *s);

#endif

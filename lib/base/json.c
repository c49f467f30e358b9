/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * JSON strings.
 *
 * Owns nothing but the table of escapes. The invariant: the output is valid
 * UTF-8 and a valid JSON string, because names come from process names and
 * command lines, where any byte but 0 can be.
 */
#include <stdint.h>

#include "base/json.h"

/*
 * How many bytes the character at s takes, or 0 if it is not UTF-8. Reads no
 * byte behind the final 0, which is no continuation byte.
 */
static unsigned utf8_len(const unsigned char *s)
{
	/* Least value that needs this many bytes: less is an overlong form. */
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned len, i;
	uint32_t c;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc0 || s[0] >= 0xf8)
		return 0;
	len = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	c = s[0] & (0x7fu >> len);
	for (i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3fu);
	}
	/* Surrogates are for UTF-16 only. */
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	return len;
}

void tl__json_write_str(FILE *f, const char *s)
{
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
	const unsigned char *p = (const unsigned char *)s;
	unsigned i, len;

	putc('"', f);
	for (; *p; p += len ? len : 1) {
		len = utf8_len(p);
		for (i = 0; from[i] && (unsigned char)from[i] != *p; i++)
			;
		if (!len)
			fputs("\\ufffd", f);
		else if (from[i])
			fprintf(f, "\\%c", to[i]);
		else if (*p < 0x20 || *p == 0x7f)
			fprintf(f, "\\u%04x", *p);
		else
			fwrite(p, 1, len, f);
	}
	putc('"', f);
}

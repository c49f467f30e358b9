/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Looks up images and their symbols; see image.h. Owns nothing: the tables are
 * those of the loader, which stay as they are while the image is loaded, and that
 * it is follows from a caller of ours being in it.
 */
#include "preload/image.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <string.h>

bool tl__image_of(const void *address, struct tl__image *image)
{
#ifdef DLFO_STRUCT_HAS_EH_DBASE		/* glibc 2.35 and later */
	struct dl_find_object found;

	if (_dl_find_object((void *)(uintptr_t)address, &found))
		return false;
	image->begin = (uintptr_t)found.dlfo_map_start;
	image->end = (uintptr_t)found.dlfo_map_end;
	image->dynamic = found.dlfo_link_map->l_ld;
	image->base = found.dlfo_link_map->l_addr;
	return image->dynamic != NULL;
#else
	(void)address, (void)image;
	return false;
#endif
}

struct tables {
	const Elf64_Sym *symbols;
	const char *strings;
	const uint32_t *hash;	/* DT_GNU_HASH */
};

/* The loader has made most addresses absolute, but not all loaders do. */
static const void *at(const struct tl__image *image, Elf64_Addr address)
{
	uintptr_t a = address;

	return (const void *)(a < image->base ? a + image->base : a);
}

static bool find_tables(const struct tl__image *image, struct tables *t)
{
	const Elf64_Dyn *d = image->dynamic;

	memset(t, 0, sizeof(*t));
	for (; d->d_tag != DT_NULL; d++)
		switch (d->d_tag) {
		case DT_SYMTAB:
			t->symbols = at(image, d->d_un.d_ptr);
			break;
		case DT_STRTAB:
			t->strings = at(image, d->d_un.d_ptr);
			break;
		case DT_GNU_HASH:
			t->hash = at(image, d->d_un.d_ptr);
			break;
		}
	return t->symbols && t->strings && t->hash;
}

static uint32_t gnu_hash(const char *name)
{
	uint32_t h = 5381;

	while (*name)
		h = h * 33 + (unsigned char)*name++;
	return h;
}

/*
 * The table: number of buckets, first symbol, words of a filter (that we don't
 * need) and its shift; the filter; the buckets; then a hash a symbol, whose lowest
 * bit ends a chain.
 */
const void *tl__image_symbol(const struct tl__image *image, const char *name,
			     size_t *size)
{
	uint32_t hash = gnu_hash(name), i;
	const uint32_t *buckets, *chain;
	struct tables t;

	if (!find_tables(image, &t) || !t.hash[0])
		return NULL;
	buckets = t.hash + 4 +
		  t.hash[2] * (sizeof(Elf64_Addr) / sizeof(uint32_t));
	chain = buckets + t.hash[0];
	i = buckets[hash % t.hash[0]];
	if (i < t.hash[1])
		return NULL;
	for (;; i++) {
		uint32_t h = chain[i - t.hash[1]];

		if ((h | 1) == (hash | 1) && t.symbols[i].st_shndx &&
		    !strcmp(t.strings + t.symbols[i].st_name, name)) {
			*size = t.symbols[i].st_size;
			return (const void *)(t.symbols[i].st_value +
					      image->base);
		}
		if (h & 1)
			return NULL;
	}
}

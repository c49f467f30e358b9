/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Symbols by libelf; see symbol.h.
 *
 * A library may have a name in several versions, for programs of all ages: the C
 * library has two pthread_cond_timedwait(). The dynamic symbols' versions say which
 * is the default.
 */
#include "symbol.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <inttypes.h>
#include <libelf.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define VERSION_HIDDEN 0x8000	/* of .gnu.version: not the default */

struct file {
	int fd;
	Elf *elf;
};

static int file_open(struct file *f, const char *path)
{
	f->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (f->fd < 0)
		return -errno;
	elf_version(EV_CURRENT);
	f->elf = elf_begin(f->fd, ELF_C_READ_MMAP, NULL);
	if (f->elf && elf_kind(f->elf) == ELF_K_ELF)
		return 0;
	elf_end(f->elf);
	close(f->fd);
	return -ENOEXEC;
}

static void file_close(struct file *f)
{
	elf_end(f->elf);
	close(f->fd);
}

/* The first section of that type; NULL: none. */
static Elf_Data *section(struct file *f, GElf_Word type, GElf_Shdr *header)
{
	Elf_Scn *scn = NULL;

	while ((scn = elf_nextscn(f->elf, scn)))
		if (gelf_getshdr(scn, header) && header->sh_type == type)
			return elf_getdata(scn, NULL);
	return NULL;
}

/* From an address in memory to one in the file. */
static bool to_offset(struct file *f, uint64_t address, uint64_t *offset)
{
	GElf_Phdr ph;
	size_t i, n;

	if (elf_getphdrnum(f->elf, &n))
		return false;
	for (i = 0; i < n; i++) {
		if (!gelf_getphdr(f->elf, (int)i, &ph) || ph.p_type != PT_LOAD)
			continue;
		if (address >= ph.p_vaddr && address < ph.p_vaddr + ph.p_memsz) {
			*offset = address - ph.p_vaddr + ph.p_offset;
			return true;
		}
	}
	return false;
}

struct table {
	GElf_Shdr header;
	Elf_Data *symbols, *versions;
	size_t count;
};

static bool table_of(struct file *f, GElf_Word type, struct table *t)
{
	GElf_Shdr versions;

	t->symbols = section(f, type, &t->header);
	if (!t->symbols || !t->header.sh_entsize)
		return false;
	t->count = t->header.sh_size / t->header.sh_entsize;
	t->versions = type == SHT_DYNSYM ?
		      section(f, SHT_GNU_versym, &versions) : NULL;
	return true;
}

/* The symbol's name if it is a function that is defined here. */
static const char *function_at(struct file *f, const struct table *t, size_t i,
			       GElf_Sym *sym)
{
	/* One that is not defined here may have the address of a jump to it. */
	if (!gelf_getsym(t->symbols, (int)i, sym) ||
	    GELF_ST_TYPE(sym->st_info) != STT_FUNC || !sym->st_value ||
	    sym->st_shndx == SHN_UNDEF)
		return NULL;
	return elf_strptr(f->elf, t->header.sh_link, sym->st_name);
}

static bool is_default(const struct table *t, size_t i)
{
	GElf_Versym version;

	return !t->versions || !gelf_getversym(t->versions, (int)i, &version) ||
	       !(version & VERSION_HIDDEN);
}

/* "take_gil" is also "take_gil.constprop.0". */
static bool is_named(const char *symbol, const char *name)
{
	size_t len = strlen(name);

	return !strncmp(symbol, name, len) &&
	       (!symbol[len] || !strncmp(symbol + len, ".constprop.", 11) ||
		!strncmp(symbol + len, ".isra.", 6));
}

/* The default version; or any, if there is no such. */
static int find_exported(struct file *f, const char *name, uint64_t *offset)
{
	const char *symbol;
	struct table t;
	int found = 0;
	GElf_Sym sym;
	size_t i;

	if (!table_of(f, SHT_DYNSYM, &t))
		return 0;
	for (i = 0; i < t.count; i++) {
		symbol = function_at(f, &t, i, &sym);
		if (!symbol || strcmp(symbol, name) ||
		    !to_offset(f, sym.st_value, offset))
			continue;
		found = 1;
		if (is_default(&t, i))
			break;
	}
	return found;
}

static int find_local(struct file *f, const char *name, uint64_t *offsets)
{
	const char *symbol;
	struct table t;
	int found = 0;
	GElf_Sym sym;
	size_t i;

	if (!table_of(f, SHT_SYMTAB, &t))
		return 0;
	for (i = 0; i < t.count && found < SYMBOL_CLONES; i++) {
		symbol = function_at(f, &t, i, &sym);
		if (symbol && is_named(symbol, name) &&
		    to_offset(f, sym.st_value, &offsets[found]))
			found++;
	}
	return found;
}

int symbol_offsets(const char *path, const char *name,
		   uint64_t offsets[SYMBOL_CLONES])
{
	struct file f;
	int found, r = file_open(&f, path);

	if (r)
		return r;
	found = find_exported(&f, name, offsets);
	if (!found)
		found = find_local(&f, name, offsets);
	file_close(&f);
	return found ? found : -ENOENT;
}

bool symbol_exists(const char *path, const char *name)
{
	uint64_t offsets[SYMBOL_CLONES];

	return symbol_offsets(path, name, offsets) > 0;
}

/* --- names of addresses -------------------------------------------------------------- */

static bool name_in(struct file *f, GElf_Word type, uint64_t offset, char *name,
		    size_t size)
{
	uint64_t at, best = 0;
	const char *symbol;
	struct table t;
	GElf_Sym sym;
	size_t i;

	*name = '\0';
	if (!table_of(f, type, &t))
		return false;
	for (i = 0; i < t.count; i++) {
		symbol = function_at(f, &t, i, &sym);
		if (!symbol || !to_offset(f, sym.st_value, &at) || at > offset ||
		    at < best || offset >= at + sym.st_size)
			continue;
		best = at;
		snprintf(name, size, "%s", symbol);
	}
	return *name;
}

bool symbol_name(const char *path, uint64_t offset, char *name, size_t size)
{
	struct file f;
	bool found;

	if (file_open(&f, path))
		return false;
	found = name_in(&f, SHT_SYMTAB, offset, name, size) ||
		name_in(&f, SHT_DYNSYM, offset, name, size);
	file_close(&f);
	return found;
}

/* --- USDT ------------------------------------------------------------------------------ */

static bool has_note(Elf_Data *data, const char *provider, const char *probe)
{
	size_t at = 0, next, name, desc;
	const char *text;
	GElf_Nhdr note;

	while ((next = gelf_getnote(data, at, &note, &name, &desc)) > 0) {
		at = next;
		text = (const char *)data->d_buf + desc;
		/* Three addresses, then provider, name and arguments. */
		if (note.n_type == 3 && note.n_descsz > 3 * 8 + strlen(provider) +
		    1 + strlen(probe) && !strcmp(text + 3 * 8, provider) &&
		    !strcmp(text + 3 * 8 + strlen(provider) + 1, probe))
			return true;
	}
	return false;
}

bool symbol_has_probe(const char *path, const char *provider, const char *name)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr header;
	bool found = false;
	Elf_Data *data;
	struct file f;

	if (file_open(&f, path))
		return false;
	while (!found && (scn = elf_nextscn(f.elf, scn))) {
		if (!gelf_getshdr(scn, &header) || header.sh_type != SHT_NOTE)
			continue;
		data = elf_getdata(scn, NULL);
		found = data && has_note(data, provider, name);
	}
	file_close(&f);
	return found;
}

/* --- the files of a process --------------------------------------------------------------- */

bool symbol_each_file(pid_t pid, bool (*fn)(const char *path, void *arg),
		      void *arg)
{
	char line[PATH_MAX + 128], last[PATH_MAX] = "", path[PATH_MAX + 32];
	bool done = false;
	char flags[5];
	FILE *maps;
	int at;

	snprintf(line, sizeof(line), "/proc/%d/maps", pid);
	maps = fopen(line, "re");
	if (!maps)
		return false;
	while (!done && fgets(line, sizeof(line), maps)) {
		at = 0;
		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "%*x-%*x %4s %*x %*s %*u %n", flags, &at) < 1 ||
		    flags[2] != 'x' || !at || line[at] != '/' ||
		    !strcmp(line + at, last))
			continue;
		snprintf(last, sizeof(last), "%s", line + at);
		/* As the process sees it, whatever it has for its root. */
		snprintf(path, sizeof(path), "/proc/%d/root%s", pid, last);
		done = fn(path, arg);
	}
	fclose(maps);
	return done;
}

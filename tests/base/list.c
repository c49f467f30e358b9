/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Intrusive lists: order, removal, and the loop that may remove.
 */
#include "base/list.h"
#include "../harness/tap.h"

struct item {
	char name;
	struct tl__list link;
};

static struct tl__list head = TL__LIST_INIT(head);
static struct item items[] = { { .name = 'a' }, { .name = 'b' },
			       { .name = 'c' }, { .name = 'd' } };

/* Whether the list is these items, in both directions. */
static bool is(const char *names)
{
	size_t n = strlen(names), i = 0;
	struct tl__list *l;

	for (l = head.next; l != &head; l = l->next) {
		struct item *t = tl__container_of(l, struct item, link);

		if (i == n || t->name != names[i++] || l->prev->next != l)
			return false;
	}
	if (i != n)
		return false;
	for (l = head.prev; l != &head; l = l->prev) {
		struct item *t = tl__container_of(l, struct item, link);

		if (!i || t->name != names[--i])
			return false;
	}
	return !i && tl__list_empty(&head) == !n &&
	       tl__list_first(&head) == (n ? head.next : NULL);
}

int main(void)
{
	struct tl__list *pos, *tmp;
	struct item *t;

	tap_plan(12);
	tap_ok(is(""), "a static list is empty");
	tl__list_add_tail(&head, &items[1].link);
	tap_ok(is("b"), "one");
	tl__list_add_tail(&head, &items[2].link);
	tl__list_add_head(&head, &items[0].link);
	tl__list_add_tail(&head, &items[3].link);
	tap_ok(is("abcd"), "add_tail and add_head");
	tl__list_del(&items[1].link);
	tap_ok(is("acd"), "del in the middle");
	tap_ok(!items[1].link.next && !items[1].link.prev, "it points nowhere");
	tl__list_del_init(&items[0].link);
	tap_ok(is("cd"), "del_init at the head");
	tap_ok(tl__list_empty(&items[0].link), "it is a list of its own");
	tl__list_del_init(&items[0].link);
	tap_ok(is("cd"), "del_init twice does nothing");
	tl__list_add_head(&head, &items[0].link);
	tl__list_add_head(&head, &items[1].link);
	tap_ok(is("bacd"), "what was removed can come back");
	tl__list_for_each_safe(pos, tmp, &head) {
		t = tl__container_of(pos, struct item, link);
		if (t->name == 'b' || t->name == 'c') {
			tl__list_del(pos);
			memset(t, 0xff, sizeof(*t));
		}
	}
	tap_ok(is("ad"), "the loop survives removal of what it is at");
	tl__list_for_each_safe(pos, tmp, &head)
		tl__list_del(pos);
	tap_ok(is(""), "down to none");
	tl__list_init(&head);
	tl__list_for_each_safe(pos, tmp, &head)
		tap_bail("an empty list has no first");
	tap_ok(is(""), "an empty one is not looped over");
	return tap_exit();
}

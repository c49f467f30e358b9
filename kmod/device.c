// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/tasklet: what its calls take, and what is refused before anything is done.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#include "handoff.h"

/*
 * @out, which has @size bytes here, and as many as its first field says there: not
 * less, as long as there is one version of it. Inline, so that the size is a constant,
 * which needs no look at where it is copied to.
 */
static __always_inline int take_struct(void *out, size_t size, void __user *arg)
{
	u32 theirs;
	int ret;

	if (copy_from_user(out, arg, size))
		return get_user(theirs, (u32 __user *)arg) || theirs >= size ?
			-EFAULT : -EINVAL;
	theirs = *(u32 *)out;
	if (likely(theirs == size))
		return 0;
	if (theirs < size)
		return -EINVAL;
	if (theirs > PAGE_SIZE)
		return -E2BIG;
	ret = check_zeroed_user(arg + size, theirs - size);
	if (ret < 0)
		return ret;
	return ret ? 0 : -E2BIG;
}

/* --- registering ------------------------------------------------------------ */

static int take_register(struct tl_handoff_register *reg, void __user *arg)
{
	int ret = take_struct(reg, sizeof(*reg), arg);

	if (!ret && (reg->flags || reg->reserved))
		ret = -EINVAL;
	return ret;
}

static long do_register(struct handoff_domain *domain, void __user *arg)
{
	struct tl_handoff_register reg;
	u64 handle;
	int ret = take_register(&reg, arg);

	if (ret)
		return ret;
	ret = handoff_register(domain, &handle);
	if (ret && ret != -EEXIST)
		return ret;
	reg.slot = handle;
	reg.features = handoff_features;
	if (copy_to_user(arg, &reg, min_t(size_t, reg.size, sizeof(reg)))) {
		/* It does not know that it has one. */
		if (!ret)
			handoff_unregister(domain);
		return -EFAULT;
	}
	return ret;
}

static long do_unregister(struct handoff_domain *domain, void __user *arg)
{
	struct tl_handoff_register reg;
	int ret = take_register(&reg, arg);

	return ret ? ret : handoff_unregister(domain);
}

/* --- waking and waiting ----------------------------------------------------- */

static int take_op(struct tl_handoff_op *op, void __user *arg)
{
	int ret = take_struct(op, sizeof(*op), arg);

	if (!ret && (op->flags & ~TL_HANDOFF_ANYWHERE))
		ret = -EINVAL;
	return ret;
}

static int find_target(struct handoff_domain *domain,
		       const struct tl_handoff_op *op,
		       struct handoff_target *target)
{
	target->slot = handoff_find(domain, op->target);
	if (!target->slot)
		return -ENOENT;
	target->generation = handoff_generation(op->target);
	target->cookie = op->target_cookie;
	target->anywhere = op->flags & TL_HANDOFF_ANYWHERE;
	return 0;
}

/* The slot @handle if it is the caller's. That can't change before it returns. */
static struct handoff_slot *find_self(struct handoff_domain *domain, u64 handle)
{
	struct handoff_slot *slot = handoff_find(domain, handle);

	if (!slot)
		return ERR_PTR(-ENOENT);
	if (READ_ONCE(slot->thread) != task_pid(current) ||
	    slot->generation != handoff_generation(handle))
		return ERR_PTR(-EPERM);
	return slot;
}

static long do_wake(struct handoff_domain *domain, void __user *arg)
{
	struct handoff_target target;
	struct tl_handoff_op op;
	int ret = take_op(&op, arg);

	if (!ret && (op.self || op.self_cookie || op.deadline_ns))
		ret = -EINVAL;
	if (!ret)
		ret = find_target(domain, &op, &target);
	if (ret)
		return ret;
	return handoff_wake(target.slot, target.generation, target.cookie,
			    target.anywhere);
}

static long do_wait(struct handoff_domain *domain, void __user *arg)
{
	struct handoff_slot *self;
	struct tl_handoff_op op;
	int ret = take_op(&op, arg);

	if (ret)
		return ret;
	if (op.target || op.target_cookie || op.flags)
		return -EINVAL;
	self = find_self(domain, op.self);
	if (IS_ERR(self))
		return PTR_ERR(self);
	return handoff_wait(self, op.self_cookie, op.deadline_ns, NULL);
}

static long do_swap(struct handoff_domain *domain, void __user *arg)
{
	struct handoff_target target;
	struct handoff_slot *self;
	struct tl_handoff_op op;
	int ret = take_op(&op, arg);

	if (ret)
		return ret;
	self = find_self(domain, op.self);
	if (IS_ERR(self))
		return PTR_ERR(self);
	ret = find_target(domain, &op, &target);
	if (ret)
		return ret;
	if (target.slot == self)
		return -EDEADLK;
	return handoff_wait(self, op.self_cookie, op.deadline_ns, &target);
}

/* --- the device ------------------------------------------------------------- */

static int device_open(struct inode *inode, struct file *file)
{
	struct handoff_domain *domain = handoff_domain_new();

	if (IS_ERR(domain))
		return PTR_ERR(domain);
	file->private_data = domain;
	return nonseekable_open(inode, file);
}

static int device_release(struct inode *inode, struct file *file)
{
	handoff_domain_free(file->private_data);
	return 0;
}

static long device_ioctl(struct file *file, unsigned int command,
			 unsigned long number)
{
	struct handoff_domain *domain = file->private_data;
	void __user *arg = (void __user *)number;

	if (current->mm != domain->mm)
		return -EPERM;
	switch (command) {
	case TL_HANDOFF_REGISTER:
		return do_register(domain, arg);
	case TL_HANDOFF_UNREGISTER:
		return do_unregister(domain, arg);
	case TL_HANDOFF_WAKE:
		return do_wake(domain, arg);
	case TL_HANDOFF_WAIT:
		return do_wait(domain, arg);
	case TL_HANDOFF_SWAP:
		return do_swap(domain, arg);
	}
	return -ENOTTY;
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.open = device_open,
	.release = device_release,
	.unlocked_ioctl = device_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

/* The group comes from a rule of udev's (kmod/tasklet.rules). */
static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "tasklet",
	.fops = &operations,
	.mode = 0660,
};

static int __init handoff_init(void)
{
	int ret = handoff_latency_init();

	if (ret)
		return ret;
	ret = misc_register(&device);
	if (ret)
		handoff_latency_exit();
	return ret;
}

static void __exit handoff_exit(void)
{
	misc_deregister(&device);
	handoff_latency_exit();
}

module_init(handoff_init);
module_exit(handoff_exit);

MODULE_DESCRIPTION("Wakes a thread on the waker's processor, which sleeps, in one call");
MODULE_AUTHOR("The libtasklet project");
MODULE_LICENSE("GPL");

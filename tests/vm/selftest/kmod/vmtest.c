// SPDX-License-Identifier: GPL-2.0-only
/*
 * vmtest: does to the kernel what the virtual machine's tests must notice. What is written to
 * /sys/module/vmtest/parameters/do says which: warn, oops, pin (a reference to the module that nobody gives back), or
 * say.
 */
#include <linux/bug.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/string.h>

static int vmtest_do(const char *what, const struct kernel_param *param)
{
	if (sysfs_streq(what, "warn"))
		WARN_ON(1);
	else if (sysfs_streq(what, "oops"))
		*(volatile int *)8 = 1;
	else if (sysfs_streq(what, "pin"))
		__module_get(THIS_MODULE);
	else if (sysfs_streq(what, "say"))
		pr_info("vmtest: said\n");
	else
		return -EINVAL;
	return 0;
}

static const struct kernel_param_ops vmtest_ops = { .set = vmtest_do };
module_param_cb(do, &vmtest_ops, NULL, 0200);

static int __init vmtest_init(void)
{
	return 0;
}
module_init(vmtest_init);

static void __exit vmtest_exit(void)
{
}
module_exit(vmtest_exit);

MODULE_DESCRIPTION("what the tests of the virtual machine must notice");
MODULE_LICENSE("GPL");

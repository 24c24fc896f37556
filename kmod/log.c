// SPDX-License-Identifier: GPL-2.0-only
/* The parameter that says how much is logged. Part of both modules. */
#include <linux/kernel.h>
#include <linux/moduleparam.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "log.h"

unsigned int qtfs_log_level = QTFS_LOG_WARN;

const char *const qtfs_log_level_names[QTFS_LOG_NR] = {
	"NONE", "ERROR", "WARN", "INFO", "DEBUG"
};

static int log_level_set(const char *value, const struct kernel_param *kp)
{
	char name[16];
	unsigned int level;

	strscpy(name, value, sizeof(name));
	strim(name);
	for (level = 0; level < QTFS_LOG_NR; level++)
		if (!strcasecmp(name, qtfs_log_level_names[level]))
			break;
	if (level == QTFS_LOG_NR &&
	    (kstrtouint(name, 10, &level) || level >= QTFS_LOG_NR)) {
		pr_err("qtfs: qtfs_log_level=%s is none of NONE ERROR WARN INFO DEBUG\n",
		       name);
		return -EINVAL;
	}
	WRITE_ONCE(qtfs_log_level, level);
	return 0;
}

static int log_level_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%s\n",
			  qtfs_log_level_names[READ_ONCE(qtfs_log_level)]);
}

static const struct kernel_param_ops log_level_ops = {
	.set = log_level_set,
	.get = log_level_get,
};
module_param_cb(qtfs_log_level, &log_level_ops, NULL, 0644);
MODULE_PARM_DESC(qtfs_log_level, "NONE, ERROR, WARN (default), INFO or DEBUG");

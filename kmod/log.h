/* SPDX-License-Identifier: GPL-2.0-only */
/* The module's messages. The peer can trigger none of them without a rate limit. */
#ifndef QTFS_LOG_H
#define QTFS_LOG_H

#include <linux/printk.h>

enum qtfs_log_level {
	QTFS_LOG_NONE,
	QTFS_LOG_ERROR,
	QTFS_LOG_WARN,
	QTFS_LOG_INFO,
	QTFS_LOG_DEBUG,
	QTFS_LOG_NR
};

extern unsigned int qtfs_log_level;
extern const char *const qtfs_log_level_names[QTFS_LOG_NR];

#define qtfs_log(level, print, fmt, ...)				\
	do {								\
		if (READ_ONCE(qtfs_log_level) >= (level))		\
			print("qtfs: " fmt, ##__VA_ARGS__);		\
	} while (0)

#define qtfs_err(fmt, ...)						\
	qtfs_log(QTFS_LOG_ERROR, pr_err_ratelimited, fmt, ##__VA_ARGS__)
#define qtfs_warn(fmt, ...)						\
	qtfs_log(QTFS_LOG_WARN, pr_warn_ratelimited, fmt, ##__VA_ARGS__)
#define qtfs_info(fmt, ...)						\
	qtfs_log(QTFS_LOG_INFO, pr_info, fmt, ##__VA_ARGS__)
/* Shown at pr_info's level: who asks for them by log level wants to see them. */
#define qtfs_debug(fmt, ...)						\
	qtfs_log(QTFS_LOG_DEBUG, pr_info_ratelimited, fmt, ##__VA_ARGS__)

#endif /* QTFS_LOG_H */

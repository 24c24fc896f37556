// SPDX-License-Identifier: GPL-2.0-only
/*
 * Step 1 of the request path for ioctl(2) on the server's devices: a table of
 * what is known to be harmless, with the arguments in the wire's byte order.
 */
#include <linux/fs.h>
#include <linux/termios.h>
#include <linux/uaccess.h>
#include <linux/watchdog.h>
#include <qtfs/device.h>

#include "device.h"
#include "file.h"
#include "req.h"

/* How many numbers of each size an argument has, in this order. */
struct shape {
	u8 n64, n32, n16, n8, more;
};

static const struct shape shapes[] = {
#define X(name, n64, n32, n16, n8, more) { n64, n32, n16, n8, more },
	QTFS_ARGUMENT_LIST(X)
#undef X
};

static const struct command {
	unsigned int native;
	u8 wire;
	u8 in;
	u8 out;
} commands[] = {
#define X(number, name, in, out) \
	{ name, number, QTFS_ARGUMENT_##in, QTFS_ARGUMENT_##out },
	QTFS_DEVICE_IOCTL_LIST(X)
#undef X
};

#define X(name, n64, n32, n16, n8, more) \
	static_assert((n64) * 8 + (n32) * 4 + (n16) * 2 + (n8) + (more) * 4 <= QTFS_ARGUMENT_MAX);
QTFS_ARGUMENT_LIST(X)
#undef X

static size_t shape_size(u8 kind)
{
	const struct shape *s = &shapes[kind];

	return s->n64 * 8 + s->n32 * 4 + s->n16 * 2 + s->n8 + s->more * 4;
}

/* Between the host's byte order and the wire's; the same both ways. */
static void shape_swap(u8 kind, void *argument)
{
	const struct shape *s = &shapes[kind];
	u64 *p64 = argument;
	u32 *p32 = (u32 *)(p64 + s->n64);
	u16 *p16 = (u16 *)(p32 + s->n32);
	u32 *more = (u32 *)((u8 *)(p16 + s->n16) + s->n8);
	unsigned int i;

	for (i = 0; i < s->n64; i++)
		le64_to_cpus((__force __le64 *)&p64[i]);
	for (i = 0; i < s->n32; i++)
		le32_to_cpus((__force __le32 *)&p32[i]);
	for (i = 0; i < s->n16; i++)
		le16_to_cpus((__force __le16 *)&p16[i]);
	for (i = 0; i < s->more; i++)
		le32_to_cpus((__force __le32 *)&more[i]);
}

static int command_call(struct file *file, const struct command *command,
			u64 value, void *argument)
{
	struct qtfs_open *open = qtfs_open_of(file);
	size_t in = shape_size(command->in), out = shape_size(command->out);
	struct qtfs_wire_ioctl body = {
		.open	 = cpu_to_le64(open->release.open),
		.cmd	 = cpu_to_le32(command->wire),
		.out_max = cpu_to_le32(out),
		.arg	 = cpu_to_le64(value),
	};
	struct qtfs_wire_ioctl_rep rep;
	struct qtfs_args args = {
		.op	  = QTFS_OP_IOCTL,
		.nr_in	  = 1,
		.in[0]	  = { &body, sizeof(body) },
		.data_in  = { argument, in },
		.out	  = { &rep, sizeof(rep) },
		.out_min  = sizeof(rep),
		.data_max = out,
		.cred	  = open->cred,
		/* Until a terminal has sent what was written to it, perhaps. */
		.may_park = true,
	};
	int err;

	shape_swap(command->in, argument);
	err = qtfs_call(open->session, &args);
	if (!err && args.data_len != out)
		err = -EPROTO;
	if (!err && out) {
		memcpy(argument, args.data, out);
		shape_swap(command->out, argument);
	}
	kvfree(args.data);
	return err;
}

static long command_run(struct file *file, const struct command *command,
			unsigned long arg)
{
	u64 argument[QTFS_ARGUMENT_MAX / sizeof(u64)] = {};
	void __user *user = (void __user *)arg;
	size_t in = shape_size(command->in), out = shape_size(command->out);
	int err;

	if (in && copy_from_user(argument, user, in))
		return -EFAULT;
	err = command_call(file, command,
			   command->in == QTFS_ARGUMENT_VALUE ? arg : 0,
			   argument);
	if (!err && out && copy_to_user(user, argument, out))
		err = -EFAULT;
	return err;
}

long qtfs_device_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i].native == cmd)
			return command_run(file, &commands[i], arg);
	return -ENOTTY;
}

// SPDX-License-Identifier: GPL-2.0-only
/* /dev/qtfs-agent: see agent.h. */
#include <linux/completion.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include "agent.h"

/* For an agent that is stuck; whoever connects gets ETIMEDOUT. */
#define ANSWER_TIMEOUT (10 * HZ)

/**
 * struct agent_call - something for the agent
 * @link: in agent.asked or agent.told; empty once it has its answer
 * @what: for the agent
 * @peer: as of @what, until the agent takes it
 * @dir: likewise
 * @err: the answer
 * @done: there is one
 *
 * QTFS_AGENT_CONNECT: on the stack of who waits, who takes it off its list before
 * it goes. QTFS_AGENT_BOUND: allocated; nobody waits.
 */
struct agent_call {
	struct list_head link;
	struct qtfs_agent_event what;
	struct file *peer;
	struct file *dir;
	int err;
	struct completion done;
};

/*
 * lock: protects the rest, and who is on the lists; a leaf
 * present: the device is open
 * last_id: numbers the calls
 * asked: calls that the agent has not read yet; told: those that it has
 * wq: the agent, waiting for calls
 */
static struct {
	spinlock_t lock;
	bool present;
	u64 last_id;
	struct list_head asked;
	struct list_head told;
	wait_queue_head_t wq;
} agent = {
	.lock	= __SPIN_LOCK_UNLOCKED(agent.lock),
	.asked	= LIST_HEAD_INIT(agent.asked),
	.told	= LIST_HEAD_INIT(agent.told),
	.wq	= __WAIT_QUEUE_HEAD_INITIALIZER(agent.wq),
};

bool qtfs_agent_present(void)
{
	return READ_ONCE(agent.present);
}

static void call_end(struct agent_call *call, int err)
{
	lockdep_assert_held(&agent.lock);

	list_del_init(&call->link);
	call->err = err;
	complete(&call->done);
}

int qtfs_agent_ask(const struct qtfs_agent_event *what, struct file *peer,
		   struct file *dir)
{
	struct agent_call call = {
		.what = *what,
		.peer = peer,
		.dir  = dir,
		.done = COMPLETION_INITIALIZER_ONSTACK(call.done),
	};
	long left = 0;

	spin_lock(&agent.lock);
	call.what.id = ++agent.last_id;
	if (agent.present)
		list_add_tail(&call.link, &agent.asked);
	else
		INIT_LIST_HEAD(&call.link);
	call.err = agent.present ? 0 : -ECONNREFUSED;
	spin_unlock(&agent.lock);

	if (!call.err) {
		wake_up_interruptible(&agent.wq);
		left = wait_for_completion_interruptible_timeout(&call.done,
								 ANSWER_TIMEOUT);
	}
	spin_lock(&agent.lock);
	if (!list_empty(&call.link)) {	/* no answer */
		list_del(&call.link);
		call.err = left ? -ERESTARTSYS : -ETIMEDOUT;
	}
	spin_unlock(&agent.lock);
	if (call.peer)
		fput(call.peer);
	if (call.dir)
		fput(call.dir);
	return call.err;
}

/* One that the agent was never told of. */
static void call_drop(struct agent_call *call)
{
	fput(call->peer);
	fput(call->dir);
	kfree(call);
}

int qtfs_agent_tell(const struct qtfs_agent_event *what, struct file *peer,
		    struct file *place)
{
	struct agent_call *call = kzalloc(sizeof(*call), GFP_KERNEL);
	bool present;

	if (!call) {
		fput(peer);
		fput(place);
		return -ENOMEM;
	}
	call->what = *what;
	call->peer = peer;
	call->dir = place;
	spin_lock(&agent.lock);
	present = agent.present;
	if (present)
		list_add_tail(&call->link, &agent.asked);
	spin_unlock(&agent.lock);
	if (present)
		wake_up_interruptible(&agent.wq);
	else
		call_drop(call);
	return present ? 0 : -ECONNREFUSED;
}

/* The first that the agent does not know of, which it is told now. */
static bool agent_take(struct qtfs_agent_event *what, struct file **peer,
		       struct file **dir)
{
	struct agent_call *call, *done = NULL;
	bool found;

	spin_lock(&agent.lock);
	call = list_first_entry_or_null(&agent.asked, struct agent_call, link);
	found = call;
	if (found) {
		*what = call->what;
		*peer = call->peer;
		*dir = call->dir;
		call->peer = call->dir = NULL;
		if (what->kind == QTFS_AGENT_BOUND) {
			list_del(&call->link);
			done = call;
		} else {
			list_move_tail(&call->link, &agent.told);
		}
	}
	spin_unlock(&agent.lock);
	kfree(done);
	return found;
}

static bool agent_answer(u64 id, int err)
{
	struct agent_call *call;
	bool found = false;

	spin_lock(&agent.lock);
	list_for_each_entry(call, &agent.told, link) {
		if (call->what.id == id) {
			call_end(call, err);
			found = true;
			break;
		}
	}
	spin_unlock(&agent.lock);
	return found;
}

int qtfs_agent_hand_over(struct file *file, void *what, size_t size, s32 *fd,
			 void __user *to)
{
	int number = get_unused_fd_flags(O_CLOEXEC);
	int err = min(number, 0);

	*fd = number;
	if (!err && copy_to_user(to, what, size)) {
		put_unused_fd(number);
		err = -EFAULT;
	}
	if (err)
		fput(file);
	else
		fd_install(number, file);
	return err;
}

/* Both files become descriptors of the caller, or are closed. */
static int agent_hand_over(struct qtfs_agent_event *what, struct file *peer,
			   struct file *dir, char __user *buf)
{
	int peer_fd = get_unused_fd_flags(O_CLOEXEC);
	int dir_fd = peer_fd < 0 ? peer_fd : get_unused_fd_flags(O_CLOEXEC);
	int err = min(dir_fd, 0);

	what->peer = peer_fd;
	what->dir = dir_fd;
	if (!err && copy_to_user(buf, what, sizeof(*what)))
		err = -EFAULT;
	if (err) {
		if (dir_fd >= 0)
			put_unused_fd(dir_fd);
		if (peer_fd >= 0)
			put_unused_fd(peer_fd);
		fput(peer);
		fput(dir);
		return err;
	}
	fd_install(peer_fd, peer);
	fd_install(dir_fd, dir);
	return 0;
}

static ssize_t agent_read(struct file *file, char __user *buf, size_t len,
			  loff_t *pos)
{
	struct qtfs_agent_event what;
	struct file *peer, *dir;
	int err;

	if (len < sizeof(what))
		return -EINVAL;
	while (!agent_take(&what, &peer, &dir)) {
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		err = wait_event_interruptible(agent.wq,
					       !list_empty_careful(&agent.asked));
		if (err)
			return err;
	}
	err = agent_hand_over(&what, peer, dir, buf);
	if (err) {
		if (what.kind == QTFS_AGENT_CONNECT)
			agent_answer(what.id, -ECONNREFUSED);
		return err;
	}
	return sizeof(what);
}

static ssize_t agent_write(struct file *file, const char __user *buf,
			   size_t len, loff_t *pos)
{
	struct qtfs_agent_answer answer;

	if (len != sizeof(answer))
		return -EINVAL;
	if (copy_from_user(&answer, buf, sizeof(answer)))
		return -EFAULT;
	/* From there on they are the kernel's own, which no program may see. */
	if (answer.error >= ERESTARTSYS || answer.reserved)
		return -EINVAL;
	return agent_answer(answer.id, -(int)answer.error) ? len : -ENOENT;
}

static __poll_t agent_poll(struct file *file, poll_table *table)
{
	poll_wait(file, &agent.wq, table);
	return list_empty_careful(&agent.asked) ? EPOLLOUT :
						  EPOLLIN | EPOLLOUT;
}

static int agent_open(struct inode *inode, struct file *file)
{
	int err = 0;

	spin_lock(&agent.lock);
	if (agent.present)
		err = -EBUSY;
	else
		agent.present = true;
	spin_unlock(&agent.lock);
	return err;
}

static int agent_release(struct inode *inode, struct file *file)
{
	struct agent_call *call, *next;
	LIST_HEAD(bound);

	spin_lock(&agent.lock);
	agent.present = false;
	list_for_each_entry_safe(call, next, &agent.asked, link) {
		if (call->what.kind == QTFS_AGENT_BOUND)
			list_move_tail(&call->link, &bound);
		else
			call_end(call, -ECONNREFUSED);
	}
	list_for_each_entry_safe(call, next, &agent.told, link)
		call_end(call, -ECONNREFUSED);
	spin_unlock(&agent.lock);
	list_for_each_entry_safe(call, next, &bound, link)
		call_drop(call);
	return 0;
}

static const struct file_operations agent_operations = {
	.owner		= THIS_MODULE,
	.open		= agent_open,
	.release	= agent_release,
	.read		= agent_read,
	.write		= agent_write,
	.poll		= agent_poll,
};

static struct miscdevice agent_device = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= QTFS_AGENT_DEVICE,
	.fops	= &agent_operations,
	.mode	= 0600,
};

int qtfs_agent_init(void)
{
	return misc_register(&agent_device);
}

void qtfs_agent_exit(void)
{
	misc_deregister(&agent_device);
}

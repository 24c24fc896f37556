/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The device of qtfs-agent, the process that joins unix sockets here and those of
 * the server. There is one at a time; when it goes, whoever waits for it is told so.
 */
#ifndef QTFS_AGENT_MODULE_H
#define QTFS_AGENT_MODULE_H

#include <linux/types.h>

#include <qtfs/agent.h>

struct file;

int qtfs_agent_init(void);
void qtfs_agent_exit(void);

/* Whether somebody would hear. */
bool qtfs_agent_present(void);

/**
 * qtfs_agent_ask - have the agent listen for a connection
 * @what: of the connection, but for its descriptors
 * @peer: the connection
 * @dir: where to bind
 *
 * Waits for the answer; any signal ends that. Both files are the agent's
 * afterwards, or closed.
 *
 * Return: 0: there is a listener; the agent's error; -ECONNREFUSED: no agent;
 * -ERESTARTSYS; -ETIMEDOUT; -ENOMEM.
 */
int qtfs_agent_ask(const struct qtfs_agent_event *what, struct file *peer,
		   struct file *dir);

/**
 * qtfs_agent_tell - hand a bound socket to the agent
 * @what: of it, but for its descriptors
 * @peer: where the server's programs arrive
 * @place: the socket, O_PATH
 *
 * Does not wait. Both files are the agent's afterwards, or closed.
 *
 * Return: 0; -ECONNREFUSED: no agent; -ENOMEM.
 */
int qtfs_agent_tell(const struct qtfs_agent_event *what, struct file *peer,
		    struct file *place);

/*
 * @file becomes a descriptor of the caller, an ioctl of the agent's, whose number
 * goes to @fd, in @what of @size bytes, which @to gets; or it is closed.
 */
int qtfs_agent_hand_over(struct file *file, void *what, size_t size, s32 *fd,
			 void __user *to);

#endif /* QTFS_AGENT_MODULE_H */
